"""How do I take a sub-network with me?"""

from __future__ import annotations

from reading import metric

from dynabert import Subnet
from dynabert.evaluation import num_params_total

pytest_plugins = ["app_fixtures"]


def test_size_command_and_card_are_of_the_chosen_sub_network(open_app, tiny):
    at = open_app(tiny.folder.parent, "take_away", w="0.5", d="1")
    total = num_params_total(tiny.model(), Subnet(0.5))
    assert metric(at, "Size of the weights") == f"{total * 4 / 1e6:.1f} MB"
    assert metric(at, "Dev accuracy") == "0.800"
    command, use, card = (block.value for block in at.code)
    assert command == (
        f"python -m dynabert extract {tiny.argument} --subnet w0.50-d1.00 --out tiny-w0.50-d1.00"
    )
    assert "tiny-w0.50-d1.00" in use
    assert "accuracy 0.8000" in card
    at.toggle(key="half").set_value(True).run()
    assert metric(at, "Size of the weights") == f"{total * 2 / 1e6:.1f} MB"
    assert "--half" in at.code[0].value


def test_a_collapsed_one_is_called_so(open_app, tiny):
    at = open_app(tiny.folder.parent, "take_away", w="0.5", d="0.5")
    assert "collapsed" in at.warning[0].value
