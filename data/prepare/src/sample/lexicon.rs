//! The closed world of the sample: product types, colours, patterns, materials and sizes, and the
//! words people use for each.

use super::draw;

/// What the makers of a type make it of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Range {
    Kitchen,
    Seating,
    Furniture,
    Decor,
    Fabric,
}

/// A product type: its name, other words for it, and how it is drawn.
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) synonyms: &'static [&'static str],
    /// What a careless seller calls it.
    pub(super) vague: &'static [&'static str],
    pub(super) range: Range,
    pub(super) draw: draw::DrawFn,
}

const fn kind(
    name: &'static str,
    synonyms: &'static [&'static str],
    vague: &'static [&'static str],
    range: Range,
    draw: draw::DrawFn,
) -> Kind {
    Kind { name, synonyms, vague, range, draw }
}

use Range::{Decor, Fabric, Furniture, Kitchen, Seating};

/// Every product type. Adding one here changes the sample: raise `GENERATOR_VERSION`.
pub(super) static KINDS: [Kind; 36] = [
    kind("mug", &["coffee cup", "cup"], &["drinkware", "cup gift"], Kitchen, draw::kitchen::mug),
    kind("teapot", &["tea kettle"], &["tea set", "pot"], Kitchen, draw::kitchen::teapot),
    kind("vase", &["flower vase"], &["home decor", "flower holder"], Kitchen, draw::kitchen::vase),
    kind("bowl", &["serving bowl"], &["tableware", "dish"], Kitchen, draw::kitchen::bowl),
    kind("bottle", &["flask"], &["drinkware", "container"], Kitchen, draw::kitchen::bottle),
    kind("jar", &["canister"], &["storage", "container"], Kitchen, draw::kitchen::jar),
    kind("pitcher", &["jug"], &["drinkware", "pot"], Kitchen, draw::kitchen::pitcher),
    kind("goblet", &["wine cup"], &["drinkware", "bar accessory"], Kitchen, draw::kitchen::goblet),
    kind("stool", &["bar stool"], &["seat", "home furniture"], Seating, draw::furniture::stool),
    kind("chair", &["dining chair"], &["seat", "furniture"], Seating, draw::furniture::chair),
    kind("armchair", &["lounge chair"], &["seat", "furniture"], Seating, draw::furniture::armchair),
    kind(
        "table",
        &["coffee table"],
        &["desk", "home furniture"],
        Furniture,
        draw::furniture::table,
    ),
    kind("sofa", &["couch"], &["seat", "living room"], Seating, draw::furniture::sofa),
    kind(
        "dresser",
        &["chest of drawers"],
        &["storage", "cabinet"],
        Furniture,
        draw::furniture::dresser,
    ),
    kind("pouf", &["ottoman"], &["seat", "foot rest"], Seating, draw::furniture::pouf),
    kind("lamp", &["table lamp"], &["lighting", "home decor"], Decor, draw::decor::lamp),
    kind("lantern", &["candle lantern"], &["lighting", "decor light"], Decor, draw::decor::lantern),
    kind("candle", &["pillar candle"], &["home decor", "gift"], Decor, draw::decor::candle),
    kind("clock", &["wall clock"], &["wall decor", "time piece"], Decor, draw::decor::clock),
    kind("mirror", &["wall mirror"], &["wall decor", "bathroom"], Decor, draw::decor::mirror),
    kind(
        "picture frame",
        &["photo frame"],
        &["wall decor", "gift"],
        Decor,
        draw::decor::picture_frame,
    ),
    kind("planter", &["plant pot"], &["garden", "pot"], Decor, draw::decor::planter),
    kind("cushion", &["throw pillow"], &["home textile", "bedding"], Fabric, draw::decor::cushion),
    kind("basket", &["storage basket"], &["storage", "container"], Decor, draw::decor::basket),
    kind("umbrella", &["parasol"], &["rain gear", "accessory"], Fabric, draw::decor::umbrella),
    kind("handbag", &["purse"], &["bag", "ladies accessory"], Fabric, draw::fashion::handbag),
    kind("backpack", &["rucksack"], &["bag", "school bag"], Fabric, draw::fashion::backpack),
    kind("tote bag", &["shopper"], &["bag", "shopping"], Fabric, draw::fashion::tote),
    kind("t-shirt", &["tee"], &["top", "clothing"], Fabric, draw::clothes::t_shirt),
    kind("dress", &["gown"], &["clothing", "ladies wear"], Fabric, draw::clothes::dress),
    kind("skirt", &["flared skirt"], &["clothing", "ladies wear"], Fabric, draw::clothes::skirt),
    kind("hat", &["sun hat"], &["headwear", "accessory"], Fabric, draw::fashion::hat),
    kind("boot", &["ankle boot"], &["footwear", "shoes"], Fabric, draw::fashion::boot),
    kind("sock", &["stocking"], &["footwear", "clothing"], Fabric, draw::clothes::sock),
    kind("mitten", &["glove"], &["winter wear", "accessory"], Fabric, draw::clothes::mitten),
    kind("tie", &["necktie"], &["accessory", "mens wear"], Fabric, draw::clothes::tie),
];

/// A colour: its name, other words for it, and its red, green and blue in 0..=255.
pub(super) struct Colour {
    pub(super) name: &'static str,
    pub(super) synonyms: &'static [&'static str],
    pub(super) rgb: [f32; 3],
}

const fn colour(name: &'static str, synonyms: &'static [&'static str], rgb: [f32; 3]) -> Colour {
    Colour { name, synonyms, rgb }
}

/// Every colour.
pub(super) static COLOURS: [Colour; 12] = [
    colour("red", &["crimson", "scarlet"], [204.0, 32.0, 38.0]),
    colour("orange", &["tangerine"], [238.0, 126.0, 28.0]),
    colour("yellow", &["lemon", "golden"], [244.0, 208.0, 44.0]),
    colour("green", &["emerald"], [44.0, 140.0, 62.0]),
    colour("teal", &["turquoise"], [28.0, 158.0, 158.0]),
    colour("blue", &["cobalt", "royal blue"], [38.0, 80.0, 196.0]),
    colour("purple", &["violet"], [122.0, 52.0, 162.0]),
    colour("pink", &["rose"], [240.0, 132.0, 174.0]),
    colour("brown", &["chocolate"], [120.0, 74.0, 40.0]),
    colour("black", &["jet black", "ebony"], [38.0, 38.0, 42.0]),
    colour("white", &["ivory"], [240.0, 238.0, 232.0]),
    colour("grey", &["gray", "ash"], [140.0, 142.0, 146.0]),
];

/// A surface pattern in two colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pattern {
    Solid,
    Stripes,
    Pinstripes,
    Dots,
    Checks,
    Zigzag,
    Diamonds,
    TwoTone,
}

impl Pattern {
    pub(super) const ALL: [Pattern; 8] = [
        Pattern::Solid,
        Pattern::Stripes,
        Pattern::Pinstripes,
        Pattern::Dots,
        Pattern::Checks,
        Pattern::Zigzag,
        Pattern::Diamonds,
        Pattern::TwoTone,
    ];

    /// The value of the `pattern` attribute.
    pub(super) fn name(self) -> &'static str {
        match self {
            Pattern::Solid => "solid",
            Pattern::Stripes => "horizontal stripes",
            Pattern::Pinstripes => "vertical stripes",
            Pattern::Dots => "polka dots",
            Pattern::Checks => "checks",
            Pattern::Zigzag => "zigzag",
            Pattern::Diamonds => "diamonds",
            Pattern::TwoTone => "two-tone",
        }
    }

    /// Before a noun: "a *striped* mug".
    pub(super) fn adjectives(self) -> &'static [&'static str] {
        match self {
            Pattern::Solid => &["plain", "solid", "unpatterned"],
            Pattern::Stripes => &["striped", "horizontally striped"],
            Pattern::Pinstripes => &["vertically striped", "pinstriped"],
            Pattern::Dots => &["polka dot", "dotted", "spotted"],
            Pattern::Checks => &["checkered", "checked"],
            Pattern::Zigzag => &["zigzag", "chevron"],
            Pattern::Diamonds => &["diamond", "argyle"],
            Pattern::TwoTone => &["two-tone", "colour block"],
        }
    }

    /// After "with": "with white *stripes*".
    pub(super) fn nouns(self) -> &'static [&'static str] {
        match self {
            Pattern::Solid => &["finish"],
            Pattern::Stripes => &["horizontal stripes", "stripes across"],
            Pattern::Pinstripes => &["vertical stripes", "pinstripes"],
            Pattern::Dots => &["polka dots", "spots"],
            Pattern::Checks => &["checks", "checkered squares"],
            Pattern::Zigzag => &["zigzag lines", "chevrons"],
            Pattern::Diamonds => &["diamonds", "argyle pattern"],
            Pattern::TwoTone => &["lower half", "bottom half"],
        }
    }
}

/// What a product is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Material {
    Ceramic,
    Glass,
    Metal,
    Wood,
    Leather,
    Linen,
    Knit,
    Velvet,
}

impl Material {
    /// The value of the `material` attribute.
    pub(super) fn name(self) -> &'static str {
        self.nouns()[0]
    }

    /// Before a noun: "a *ceramic* mug". The usual word first.
    pub(super) fn adjectives(self) -> &'static [&'static str] {
        match self {
            Material::Wood => &["wooden", "wood", "timber"],
            Material::Knit => &["knitted wool", "knit", "chunky knit"],
            Material::Metal => &["metal", "metallic", "brushed steel"],
            _ => self.nouns(),
        }
    }

    /// After a preposition: "made of *ceramic*". The usual word first.
    pub(super) fn nouns(self) -> &'static [&'static str] {
        match self {
            Material::Ceramic => &["ceramic", "glazed porcelain", "glossy ceramic"],
            Material::Glass => &["glass", "clear glass"],
            Material::Metal => &["metal", "brushed steel"],
            Material::Wood => &["wood", "timber"],
            Material::Leather => &["leather", "grained leather"],
            Material::Linen => &["linen", "woven linen", "canvas"],
            Material::Knit => &["knitted wool", "chunky knit"],
            Material::Velvet => &["velvet", "soft velvet", "plush"],
        }
    }
}

impl Range {
    /// Materials of this range, the usual ones first.
    pub(super) fn materials(self) -> [Material; 4] {
        match self {
            Range::Kitchen => [Material::Ceramic, Material::Glass, Material::Metal, Material::Wood],
            Range::Seating => {
                [Material::Velvet, Material::Leather, Material::Linen, Material::Wood]
            }
            Range::Furniture => {
                [Material::Wood, Material::Metal, Material::Glass, Material::Leather]
            }
            Range::Decor => [Material::Ceramic, Material::Wood, Material::Metal, Material::Linen],
            Range::Fabric => [Material::Linen, Material::Knit, Material::Leather, Material::Velvet],
        }
    }
}

/// How large a product is beside others of its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Size {
    Small,
    Medium,
    Large,
}

impl Size {
    pub(super) const ALL: [Size; 3] = [Size::Small, Size::Medium, Size::Large];

    /// The value of the `size` attribute.
    pub(super) fn name(self) -> &'static str {
        self.words()[0]
    }

    /// The usual word first, then others.
    pub(super) fn words(self) -> &'static [&'static str] {
        match self {
            Size::Small => &["small", "mini", "compact"],
            Size::Medium => &["medium", "medium-sized"],
            Size::Large => &["large", "oversized", "big"],
        }
    }
}
