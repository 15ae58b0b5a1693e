"""The words of the teaching set, with what the grammar must know of each.

Every table is split by hand: the `_SEEN` half may be used anywhere, the `_HELD_OUT` half is never
used in a training sentence. Nouns have distinct singular and plural forms (no "sheep"), verbs have
a base form unlike their past (no "put").
"""

from dataclasses import dataclass
from typing import Literal

Gender = Literal["masculine", "feminine", "neutral"]
NounKind = Literal["person", "animal", "thing", "fixture", "place", "event"]
Valency = Literal["intransitive", "strict", "optional"]
"""Objects a verb takes: never one, always one, or one that may be left out."""


@dataclass(frozen=True, kw_only=True)
class Noun:
    """A countable noun. Only persons whose word says so have a gender ("uncle", not "doctor")."""

    singular: str
    plural: str
    kind: NounKind
    gender: Gender
    held_out: bool


@dataclass(frozen=True, kw_only=True)
class Name:
    """A first name."""

    text: str
    gender: Gender
    held_out: bool


@dataclass(frozen=True, kw_only=True)
class Verb:
    """A verb with its five forms, the objects it takes, and two facts that a template may need."""

    base: str
    third: str
    past: str
    participle: str
    ing: str
    valency: Valency
    objects: frozenset[NounKind]
    reflexive: bool  # natural with "himself"
    stative: bool  # odd in the progressive ("was trusting")
    held_out: bool


@dataclass(frozen=True, kw_only=True)
class Adjective:
    """An adjective and the kinds of noun it can be said of."""

    text: str
    kinds: frozenset[NounKind]
    held_out: bool


@dataclass(frozen=True, kw_only=True)
class Adverb:
    """An adverb that can stand before a verb of any tense."""

    text: str
    held_out: bool


@dataclass(frozen=True, kw_only=True)
class Selector:
    """A word that chooses the clause or objects after it, by the class it belongs to."""

    text: str
    selects: str
    held_out: bool


# "wolf/wolves" gives the plural; without a slash it is the singular and "s".
_PERSONS_SEEN: dict[Gender, str] = {
    "masculine": "boy man/men king uncle father brother prince husband waiter gentleman/gentlemen"
    " nephew businessman/businessmen grandson",
    "feminine": "girl woman/women queen aunt mother sister princess/princesses wife/wives"
    " waitress/waitresses lady/ladies niece actress/actresses",
    "neutral": "doctor teacher lawyer farmer student driver writer singer dancer pilot soldier"
    " artist child/children painter customer visitor manager tourist editor detective"
    " citizen thief/thieves",
}
_PERSONS_HELD_OUT: dict[Gender, str] = {
    "masculine": "grandfather son duke monk lord policeman/policemen emperor bachelor",
    "feminine": "grandmother daughter duchess/duchesses nun bride widow empress/empresses"
    " witch/witches",
    "neutral": "poet banker scientist sailor engineer librarian player hunter"
    " secretary/secretaries merchant reporter professor composer mayor",
}
_NOUNS_SEEN: dict[NounKind, str] = {
    "animal": "dog cat horse cow bird rabbit lion tiger monkey wolf/wolves mouse/mice goat"
    " elephant",
    "thing": "letter picture lamp box/boxes bag knife/knives bottle key bicycle basket camera"
    " guitar painting newspaper map coin plate computer blanket hat coat shirt shoe"
    " jacket toy",
    "fixture": "car table chair door window clock mirror truck piano shelf/shelves statue",
    "place": "house school park church/churches garden station museum hotel kitchen"
    " library/libraries bridge river market office castle theater hospital tower"
    " village restaurant",
    "event": "party/parties concert meeting lesson dinner game",
}
_NOUNS_HELD_OUT: dict[NounKind, str] = {
    "animal": "goose/geese donkey frog camel owl pony/ponies turtle fox/foxes",
    "thing": "violin wallet candle suitcase vase scarf/scarves helmet magazine envelope pillow"
    " crown sword",
    "fixture": "desk ladder bell drum carpet curtain machine cart",
    "place": "airport temple palace factory/factories stadium cottage bakery/bakeries barn"
    " lake prison cinema monument",
    "event": "wedding ceremony/ceremonies festival exam",
}

_NAMES_SEEN: dict[Gender, str] = {
    "masculine": "John David Peter Paul Robert Thomas Henry George James Charles Michael Steven",
    "feminine": "Mary Anna Sarah Laura Emma Alice Julia Helen Susan Linda Maria Lucy",
}
_NAMES_HELD_OUT: dict[Gender, str] = {
    "masculine": "Daniel Martin Simon Edward Arthur Oliver Kevin Philip",
    "feminine": "Clara Emily Rachel Margaret Sophie Diana Karen Barbara",
}

# base third past participle -ing
_INTRANSITIVE_SEEN = """
sleep sleeps slept slept sleeping
laugh laughs laughed laughed laughing
smile smiles smiled smiled smiling
arrive arrives arrived arrived arriving
wait waits waited waited waiting
listen listens listened listened listening
hesitate hesitates hesitated hesitated hesitating
cry cries cried cried crying
tremble trembles trembled trembled trembling
complain complains complained complained complaining
sneeze sneezes sneezed sneezed sneezing
cough coughs coughed coughed coughing
faint faints fainted fainted fainting
grin grins grinned grinned grinning
"""
_INTRANSITIVE_HELD_OUT = """
giggle giggles giggled giggled giggling
sigh sighs sighed sighed sighing
shiver shivers shivered shivered shivering
vanish vanishes vanished vanished vanishing
kneel kneels knelt knelt kneeling
frown frowns frowned frowned frowning
apologize apologizes apologized apologized apologizing
gossip gossips gossiped gossiped gossiping
emerge emerges emerged emerged emerging
snore snores snored snored snoring
"""
# The five forms, then the objects (p person, t thing) and marks: ! object obligatory, r reflexive,
# s stative.
_TRANSITIVE_SEEN = """
admire admires admired admired admiring pt!r
greet greets greeted greeted greeting p!
praise praises praised praised praising pt!r
blame blames blamed blamed blaming p!r
thank thanks thanked thanked thanking p!
punish punishes punished punished punishing p!r
arrest arrests arrested arrested arresting p!
rescue rescues rescued rescued rescuing p!r
ignore ignores ignored ignored ignoring pt!
avoid avoids avoided avoided avoiding pt!
respect respects respected respected respecting p!rs
protect protects protected protected protecting ptr
mention mentions mentioned mentioned mentioning pt!r
describe describes described described describing pt!r
help helps helped helped helping p
follow follows followed followed following p
visit visits visited visited visiting p
remember remembers remembered remembered remembering pts
hate hates hated hated hating pts
love loves loved loved loving pts
see sees saw seen seeing pts
destroy destroys destroyed destroyed destroying t
damage damages damaged damaged damaging t!
repair repairs repaired repaired repairing t
paint paints painted painted painting t
clean cleans cleaned cleaned cleaning t
sell sells sold sold selling t
steal steals stole stolen stealing t
take takes took taken taking t!
choose chooses chose chosen choosing t
bring brings brought brought bringing t!
carry carries carried carried carrying t
examine examines examined examined examining t
hide hides hid hidden hiding t
break breaks broke broken breaking t
borrow borrows borrowed borrowed borrowing t
"""
_TRANSITIVE_HELD_OUT = """
insult insults insulted insulted insulting p!r
betray betrays betrayed betrayed betraying p!r
welcome welcomes welcomed welcomed welcoming p!
recognize recognizes recognized recognized recognizing pt!rs
abandon abandons abandoned abandoned abandoning pt!
adore adores adored adored adoring p!rs
comfort comforts comforted comforted comforting pr
deceive deceives deceived deceived deceiving pr
surprise surprises surprised surprised surprising pr
accuse accuses accused accused accusing p!r
attack attacks attacked attacked attacking p
warn warns warned warned warning p
throw throws threw thrown throwing t
shake shakes shook shaken shaking t
draw draws drew drawn drawing t
tear tears tore torn tearing t
buy buys bought bought buying t
inspect inspects inspected inspected inspecting t
purchase purchases purchased purchased purchasing t
discover discovers discovered discovered discovering t!
remove removes removed removed removing t!
ruin ruins ruined ruined ruining t!
wrap wraps wrapped wrapped wrapping t!
collect collects collected collected collecting t
"""

# p person, a animal, t thing or fixture, l place. None of these is a participle: "the lamp broken
# was sold" would be a reduced relative.
_ADJECTIVES_SEEN = """
tall pa; old patl; young pa; happy pa; angry pa; famous patl; clever pa; quiet pal; rich p
poor p; brave pa; friendly pa; nervous pa; polite p; honest p; lazy pa; strong pa; new tl
small atl; large atl; expensive t; cheap t; heavy at; red tl; green tl; blue tl; yellow tl
white atl; black at; beautiful patl; dirty atl; round t; wooden t; dark tl; hungry pa
brown at
"""
_ADJECTIVES_HELD_OUT = """
elderly p; proud pa; gentle pa; cheerful p; shy pa; wise p; rude p; lonely pal; generous p
handsome p; curious pa; careless p; golden t; tiny atl; purple tl; ugly patl; dusty tl; huge atl
ancient tl; strange patl; elegant ptl; gray atl; modern tl; pink tl
"""
_ADVERBS_SEEN = "often always usually sometimes certainly probably really"
_ADVERBS_HELD_OUT = "generally obviously frequently apparently surely"

# Verbs and adjectives that choose a clause or a pair of objects.
_SELECTORS: dict[str, tuple[str, str]] = {
    # selects: (seen, held out)
    "raising verb": ("seemed appeared", "happened tended"),  # there ... to be, no clause
    "hoping verb": ("hoped decided agreed", "wished claimed pretended"),  # to do, and a clause
    "raising adjective": ("likely certain", "sure bound"),  # there ... to be, no "for her to"
    "control adjective": ("eager ready willing", "anxious keen reluctant"),  # for her to
    "expecting verb": ("expected wanted", "needed intended"),  # there to be, her to
    "telling verb": ("told informed assured", "persuaded reminded convinced"),  # her that
    "commanding verb": ("asked forced ordered", "encouraged urged begged"),  # her to
    "giving verb": ("gave offered lent", "sent loaned bought"),  # her something, no clause
    "explaining verb": ("explained mentioned revealed", "announced reported suggested"),  # to her
}

_KIND_LETTERS: dict[str, tuple[NounKind, ...]] = {
    "p": ("person",),
    "a": ("animal",),
    "t": ("thing", "fixture"),
    "l": ("place",),
}


def _noun(entry: str, kind: NounKind, gender: Gender, held_out: bool) -> Noun:
    singular, _, plural = entry.partition("/")
    return Noun(
        singular=singular,
        plural=plural or f"{singular}s",
        kind=kind,
        gender=gender,
        held_out=held_out,
    )


def _kinds(letters: str) -> frozenset[NounKind]:
    return frozenset(
        kind for letter, kinds in _KIND_LETTERS.items() if letter in letters for kind in kinds
    )


def _verb(line: str, held_out: bool) -> Verb:
    base, third, past, participle, ing, *marks = line.split()
    mark = marks[0] if marks else ""
    return Verb(
        base=base,
        third=third,
        past=past,
        participle=participle,
        ing=ing,
        valency="strict" if "!" in mark else "optional" if mark else "intransitive",
        objects=_kinds(mark),
        reflexive="r" in mark,
        stative="s" in mark,
        held_out=held_out,
    )


def _adjectives(table: str, held_out: bool) -> tuple[Adjective, ...]:
    entries = (entry.split() for entry in table.replace("\n", ";").split(";") if entry.strip())
    return tuple(
        Adjective(text=text, kinds=_kinds(letters), held_out=held_out) for text, letters in entries
    )


NOUNS: tuple[Noun, ...] = tuple(
    _noun(entry, "person", gender, held_out)
    for held_out, table in ((False, _PERSONS_SEEN), (True, _PERSONS_HELD_OUT))
    for gender, entries in table.items()
    for entry in entries.split()
) + tuple(
    _noun(entry, kind, "neutral", held_out)
    for held_out, kinds in ((False, _NOUNS_SEEN), (True, _NOUNS_HELD_OUT))
    for kind, entries in kinds.items()
    for entry in entries.split()
)
NAMES: tuple[Name, ...] = tuple(
    Name(text=text, gender=gender, held_out=held_out)
    for held_out, names in ((False, _NAMES_SEEN), (True, _NAMES_HELD_OUT))
    for gender, texts in names.items()
    for text in texts.split()
)
VERBS: tuple[Verb, ...] = tuple(
    _verb(line, held_out)
    for held_out, lines in (
        (False, _INTRANSITIVE_SEEN + _TRANSITIVE_SEEN),
        (True, _INTRANSITIVE_HELD_OUT + _TRANSITIVE_HELD_OUT),
    )
    for line in lines.splitlines()
    if line
)
ADJECTIVES: tuple[Adjective, ...] = _adjectives(_ADJECTIVES_SEEN, False) + _adjectives(
    _ADJECTIVES_HELD_OUT, True
)
ADVERBS: tuple[Adverb, ...] = tuple(
    Adverb(text=text, held_out=held_out)
    for held_out, texts in ((False, _ADVERBS_SEEN), (True, _ADVERBS_HELD_OUT))
    for text in texts.split()
)
SELECTORS: tuple[Selector, ...] = tuple(
    Selector(text=text, selects=selects, held_out=held_out)
    for selects, halves in _SELECTORS.items()
    for held_out, texts in zip((False, True), halves, strict=True)
    for text in texts.split()
)


@dataclass(frozen=True, kw_only=True)
class Pronoun:
    """A personal pronoun in its two cases. Held-out pronouns are never used in training."""

    nominative: str
    accusative: str
    held_out: bool


PRONOUNS: tuple[Pronoun, ...] = (
    Pronoun(nominative="he", accusative="him", held_out=False),
    Pronoun(nominative="she", accusative="her", held_out=False),
    Pronoun(nominative="they", accusative="them", held_out=False),
    Pronoun(nominative="we", accusative="us", held_out=True),
    Pronoun(nominative="I", accusative="me", held_out=True),
)
REFLEXIVES: dict[str, str] = {
    "masculine": "himself",
    "feminine": "herself",
    "plural": "themselves",
}
# Those that show number, in the singular and the plural; then all.
DETERMINER_PAIRS: tuple[tuple[str, str], ...] = (
    ("this", "these"),
    ("that", "those"),
    ("another", "several"),
    ("every", "many"),
)
DETERMINERS: tuple[str, ...] = (
    *("the", "a", "an", "no", "any"),
    *(determiner for pair in DETERMINER_PAIRS for determiner in pair),
)
# Adjectives that no one thing deserves together.
OPPOSITES: frozenset[frozenset[str]] = frozenset(
    frozenset(pair.split())
    for pair in (
        "old new, old young, small large, small tall, rich poor, cheap expensive, tiny huge, "
        "ancient modern, ugly elegant, dirty beautiful, strange elegant, golden gray, black white, "
        "red green, red blue, red yellow, red brown, green blue, green yellow, blue yellow, "
        "purple pink, purple gray, pink gray, quiet angry, lazy brave, happy angry, happy nervous, "
        "white red, white green, white blue, white yellow, white brown, black red, black green, "
        "black blue, black yellow, black brown, shy proud, lonely cheerful, dark white, "
        "gentle rude, rude polite, wise careless, gentle careless, ugly handsome, large tall"
    ).split(", ")
)
PREPOSITIONS: tuple[str, ...] = ("near", "behind", "beside", "opposite")


def word_forms(*, held_out: bool) -> frozenset[str]:
    """Every form of the content words and pronouns of one half, in lower case."""
    forms: set[str] = set()
    for noun in NOUNS:
        forms.update((noun.singular, noun.plural) if noun.held_out == held_out else ())
    for verb in VERBS:
        if verb.held_out == held_out:
            forms.update((verb.base, verb.third, verb.past, verb.participle, verb.ing))
    for pronoun in PRONOUNS:
        if pronoun.held_out == held_out:
            forms.update((pronoun.nominative, pronoun.accusative))
    others: tuple[Name | Adjective | Adverb | Selector, ...] = (
        *NAMES,
        *ADJECTIVES,
        *ADVERBS,
        *SELECTORS,
    )
    forms.update(word.text for word in others if word.held_out == held_out)
    return frozenset(form.lower() for form in forms)
