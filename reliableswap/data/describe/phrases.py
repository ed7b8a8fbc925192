"""The wording of attributes: phrases of captions and forms of questions.

{they} and {their} stand for a person, as in PERSONS.
"""

from __future__ import annotations

# What a caption may say of a value.
PHRASES: dict[str, dict[str, tuple[str, ...]]] = {
    "glasses": {
        "none": ("without glasses", "no glasses"),
        "glasses": ("with glasses", "wearing glasses", "who wears glasses"),
        "sunglasses": ("with sunglasses", "wearing sunglasses", "behind dark glasses"),
    },
    "beard": {
        "none": ("without a beard", "clean shaven"),
        "stubble": ("with stubble", "unshaven"),
        "beard": ("with a beard", "with a full beard", "bearded"),
    },
    "smile": {
        "smiling": ("smiling", "with a smile", "who smiles"),
        "serious": ("serious", "not smiling", "with a serious face"),
    },
    "mouth": {
        "closed": ("with the mouth closed", "lips closed"),
        "open": ("with the mouth open", "mouth open", "with an open mouth"),
    },
    "pose": {
        "front": ("facing the camera", "seen from the front"),
        "left": ("head turned left", "with the head turned to the left"),
        "right": ("head turned right", "with the head turned to the right"),
    },
    "hair": {
        "brown": ("with brown hair", "brown hair"),
        "black": ("with black hair", "black hair"),
        "blond": ("with blond hair", "blond hair"),
        "grey": ("with grey hair", "grey hair"),
        "red": ("with red hair", "red hair"),
        "bald": ("bald", "with a bald head"),
    },
    "skin": {
        "light": ("with light skin", "light skin"),
        "medium": ("with tanned skin", "tanned skin"),
        "dark": ("with dark skin", "dark skin"),
    },
    "makeup": {"none": ("without makeup", "no makeup"), "makeup": ("with makeup", "wearing makeup")},
    "headwear": {"none": ("without a hat", "no hat"), "hat": ("with a hat", "wearing a hat")},
}
NOUNS = {"woman": ("woman", "lady"), "man": ("man", "gentleman"), None: ("person", "face")}
AGES = {"young": ("young",), "middle-aged": ("middle aged",), "old": ("old", "elderly")}
DESCRIBE = ("describe this face", "what does this picture show ?", "describe the person", "who is this ?")

# Questions whose answer is a value: (forms, the answer to each value).
QUESTIONS: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "gender": (
        ("is this a man or a woman ?", "man or woman ?", "what is the gender of this person ?"),
        {"woman": "a woman", "man": "a man"},
    ),
    "age": (
        ("how old is {they} ?", "what is {their} age ?", "is {they} young or old ?"),
        {"young": "young", "middle-aged": "middle aged", "old": "old"},
    ),
    "glasses": (
        ("what glasses does {they} wear ?", "glasses or sunglasses ?"),
        {"none": "none", "glasses": "glasses", "sunglasses": "sunglasses"},
    ),
    "beard": (
        ("what beard does {they} have ?", "how is {they} shaven ?"),
        {"none": "none", "stubble": "stubble", "beard": "a full beard"},
    ),
    "smile": (
        ("what is {their} expression ?", "how does {they} look ?"),
        {"smiling": "smiling", "serious": "serious"},
    ),
    "mouth": (
        ("is the mouth open or closed ?", "how is {their} mouth ?"),
        {"closed": "closed", "open": "open"},
    ),
    "pose": (
        ("where is the head turned ?", "which way does {they} face ?", "how is {their} head turned ?"),
        {"front": "to the front", "left": "to the left", "right": "to the right"},
    ),
    "hair": (
        ("what colour is {their} hair ?", "what hair does {they} have ?", "what is {their} hair colour ?"),
        {
            "brown": "brown", "black": "black", "blond": "blond", "grey": "grey", "red": "red", "bald": "bald",
        },
    ),
    "skin": (
        ("what is {their} skin tone ?", "what colour is {their} skin ?"),
        {"light": "light", "medium": "tanned", "dark": "dark"},
    ),
}  # fmt: skip

# Yes-or-no questions: (value, forms); the answer is yes where the attribute has the value.
YES_NO_QUESTIONS: dict[str, tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]] = {
    "gender": (
        (("man",), ("is this a man ?", "is it a man ?")),
        (("woman",), ("is this a woman ?", "is it a woman ?")),
    ),
    "age": (
        (("young",), ("is {they} young ?", "is this a young person ?")),
        (("old",), ("is {they} old ?", "is this an old person ?")),
    ),
    "glasses": (
        (
            ("glasses", "sunglasses"),
            ("does {they} wear glasses ?", "is {they} wearing glasses ?", "are there glasses ?", "glasses ?"),
        ),
        (
            ("sunglasses",),
            ("does {they} wear sunglasses ?", "is {they} wearing sunglasses ?", "sunglasses ?"),
        ),
    ),
    "beard": (
        (("beard",), ("does {they} have a beard ?", "is {they} bearded ?", "is there a beard ?", "beard ?")),
        (("none",), ("is {they} clean shaven ?", "is {they} shaven ?")),
    ),
    "smile": (
        (
            ("smiling",),
            ("is {they} smiling ?", "does {they} smile ?", "is there a smile ?", "is {they} happy ?"),
        ),
        (("serious",), ("is {they} serious ?", "does {they} look serious ?")),
    ),
    "mouth": (
        (("open",), ("is the mouth open ?", "is {their} mouth open ?")),
        (("closed",), ("is the mouth closed ?", "is {their} mouth closed ?")),
    ),
    "pose": (
        (("front",), ("is {they} facing the camera ?", "does {they} look at the camera ?")),
        (("left",), ("is the head turned left ?", "is {their} head turned to the left ?")),
        (("right",), ("is the head turned right ?", "is {their} head turned to the right ?")),
    ),
    "hair": (
        (("bald",), ("is {they} bald ?",)),
        (("blond",), ("is {their} hair blond ?", "does {they} have blond hair ?")),
        (("black",), ("is {their} hair black ?", "does {they} have black hair ?")),
        (("brown",), ("is {their} hair brown ?", "does {they} have brown hair ?")),
        (("grey",), ("is {their} hair grey ?", "does {they} have grey hair ?")),
        (("red",), ("is {their} hair red ?", "does {they} have red hair ?")),
    ),
    "makeup": (
        (("makeup",), ("does {they} wear makeup ?", "is {they} wearing makeup ?", "is there makeup ?")),
    ),
    "headwear": ((("hat",), ("does {they} wear a hat ?", "is {they} wearing a hat ?", "is there a hat ?")),),
}
PERSONS = {
    "woman": ({"they": "she", "their": "her"}, {"they": "the woman", "their": "the woman 's"}),
    "man": ({"they": "he", "their": "his"}, {"they": "the man", "their": "the man 's"}),
    None: (
        {"they": "the person", "their": "the person 's"},
        {"they": "this person", "their": "their"},
    ),
}
# Words that people use and no template has.
MORE_WORDS = (
    "he she they it his her their him them a an the of and or with in on at to is are was has have had "
    "spectacles moustache mustache hat cap face photo picture portrait guy lady gentleman person people "
    "color colour blonde gray dark light pale tanned skin tone hair long short eyes eye lips mouth nose cheeks "
    "happy sad angry surprised neutral laughing grinning frowning looking look looks left right up down front side "
    "turned tilted wearing wears wear big small thick thin full very not no yes any some old young older younger "
    "middle aged adult show shows me draw please"
)
