"""What the pages share.

All that is slow to import is imported here, by one thread, while the others wait for this package: two
visitors who come at once to a server just started would otherwise import parts of transformers at the
same time, each from under the other.
"""

import pages.shared.cache  # noqa: F401
