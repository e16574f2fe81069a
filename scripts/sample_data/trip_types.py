"""Trip types and themes: names, countries and texts."""

from typing import NamedTuple

from schemas.enums import PRIVATE_GROUPS


class TripType(NamedTuple):
    """A trip type. Texts contain {name}, {place} (with its article) and {days}; `per_day` is a price range."""

    name: str
    name_he: str
    description: str
    titles: tuple[str, ...]
    titles_he: tuple[str, ...]
    sentence: str
    sentence_he: str
    days: tuple[int, int]
    levels: tuple[int, int]
    per_day: tuple[int, int]
    themes: str
    places: str = ""
    """Codes of its countries, the most popular first; empty for all countries."""


TRIP_TYPES = (
    TripType(
        "Geographic Depth",
        "טיולי עומק גיאוגרפיים",
        "Journeys that explain a land and its people",
        ("Classic {name} in {days} days", "{place} in Depth", "The Best of {place}"),
        ("מסע קלאסי אל {place} ב-{days} ימים", "מסע עומק אל {place}", "המיטב של {place}"),
        "A journey through the landscapes and the history of {place}, at a pace that leaves room for questions.",
        "מסע בין הנופים וההיסטוריה של {place}, בקצב שמשאיר מקום לשאלות.",
        (9, 18),
        (1, 3),
        (230, 420),
        "culture food mountain desert tropical",
    ),
    TripType(
        "Carnivals & Festivals",
        "קרנבלים ופסטיבלים",
        "Trips timed for the great celebrations",
        ("Festival Days in {place}", "{place} Celebrates"),
        ("ימי פסטיבל: {place}", "חגיגות: {place}"),
        "Timed for the days on which {place} takes to the streets with music, costumes and food.",
        "בדיוק בימים שבהם חוגגים ברחובות של {place} עם מוזיקה, תחפושות ואוכל.",
        (7, 12),
        (1, 2),
        (260, 430),
        "culture food lights beach",
    ),
    TripType(
        "African Safari",
        "ספארי באפריקה",
        "Game drives in the great parks of Africa",
        ("Wild {name}", "{name} Safari in {days} days"),
        ("ספארי אל {place} ב-{days} ימים", "הצד הפראי של {place}"),
        "Game drives at first light, and evenings by the fire in the parks of {place}.",
        "נסיעות ספארי עם אור ראשון וערבים סביב המדורה בשמורות של {place}.",
        (8, 14),
        (1, 3),
        (380, 640),
        "wildlife desert tropical mountain",
        "KE TZ ZA NA BW UG RW ZM ZW ET MW MZ MG",
    ),
    TripType(
        "Train Tours",
        "טיולי רכבות",
        "Great railway lines, window seats included",
        ("{place} by Train", "The Railways of {place}"),
        ("{place} ברכבת", "מסילות הברזל של {place}"),
        "The finest lines of {place}, with nights in towns along the track.",
        "הקווים היפים ביותר של {place}, עם לינות בעיירות שלאורך המסילה.",
        (7, 14),
        (1, 2),
        (260, 450),
        "culture mountain food snow",
        "CH IT NO AT FR ES PT GB SE DE PL CZ RO BG IN JP LK VN US CA PE AR ZA TH UZ",
    ),
    TripType(
        "Geographic Cruises",
        "טיולי שייט גיאוגרפיים",
        "Small ships, coasts and islands",
        ("{place} by Sea", "A Voyage to {place}"),
        ("שיט אל {place}", "{place} מן הים"),
        "A small ship, a landing every day, and lectures on the coasts of {place} in between.",
        "אונייה קטנה, ירידה לחוף בכל יום והרצאות על החופים של {place} בין לבין.",
        (8, 21),
        (1, 3),
        (420, 780),
        "beach wildlife snow tropical",
        "AQ GL NO IS HR GR EC ID FJ PF SC AR CL NZ CV MV VU TO",
    ),
    TripType(
        "Nature Hiking",
        "טיולי הליכות בטבע",
        "On foot, with a light pack",
        ("Walking in {place}", "{days} Days on the Trails of {place}"),
        ("הליכה בשבילים של {place}", "{days} ימים בשבילי {place}"),
        "Walks of four to seven hours a day through the quiet corners of {place}; the luggage goes ahead.",
        "הליכות של ארבע עד שבע שעות ביום בפינות השקטות של {place}; המזוודות נוסעות קדימה.",
        (6, 15),
        (2, 5),
        (170, 330),
        "mountain wildlife extreme tropical",
    ),
    TripType(
        "Jeep Tours",
        "טיולי ג'יפים",
        "Off the road in four-wheel drives",
        ("{place} off the Road", "Across {place} by Jeep"),
        ("{place} בג'יפים", "חוצים את {place} בג'יפים"),
        "Passes, dunes and river beds of {place} at the wheel of a four-wheel drive.",
        "מעברי הרים, דיונות ואפיקי נחלים של {place} מאחורי ההגה של רכב שטח.",
        (6, 13),
        (2, 4),
        (260, 440),
        "desert mountain extreme",
        "MA NA TN EG BW ET MG JO OM GE MN KG TJ KZ IS BO CL AR RO AL AU US",
    ),
    TripType(
        "Snowmobile Tours",
        "טיולי אופנועי שלג",
        "Snowmobiles, northern lights and saunas",
        ("{place} by Snowmobile", "Northern Lights over {place}"),
        ("{place} על אופנועי שלג", "זוהר צפוני מעל {place}"),
        "Frozen lakes and forests of {place} by snowmobile, with the northern lights for company.",
        "אגמים קפואים ויערות של {place} על אופנועי שלג, בחברת הזוהר הצפוני.",
        (5, 9),
        (2, 4),
        (420, 690),
        "snow extreme wildlife",
        "NO FI SE IS GL CA",
    ),
    TripType(
        "Photography",
        "טיולי צילום",
        "With a photographer who teaches",
        ("{place} through the Lens", "Light and People of {place}"),
        ("{place} דרך העדשה", "אור ואנשים: {place}"),
        "Early mornings and long evenings for the light of {place}, with a photographer who teaches.",
        "בקרים מוקדמים וערבים ארוכים למען האור של {place}, עם צלם שמלמד.",
        (7, 14),
        (1, 3),
        (300, 520),
        "wildlife culture snow mountain",
    ),
    TripType(
        PRIVATE_GROUPS,
        "קבוצות סגורות",
        "For your own group, on your own dates",
        ("{place} for Your Group", "Your Own {name}"),
        ("{place} לקבוצה שלכם", "{place} בהתאמה אישית"),
        "Your own group, dates and wishes: {place} the way you want it.",
        "הקבוצה, התאריכים והרצונות שלכם: {place} כמו שאתם רוצים.",
        (5, 21),
        (1, 5),
        (200, 560),
        "culture food mountain beach wildlife wellness",
    ),
    TripType(
        "City Breaks",
        "",
        "A long weekend in town",
        ("A Long Weekend in {place}", "{days} City Days in {place}"),
        ("סוף שבוע ארוך: {place}", "{days} ימים בעיר: {place}"),
        "Markets, museums and kitchens of the cities of {place}, without a car.",
        "שווקים, מוזיאונים ומטבחים בערים של {place}, בלי רכב.",
        (3, 5),
        (1, 1),
        (220, 420),
        "food culture lights wellness",
        "IT ES GR FR PT GB CH AT HR IE CZ SI PL HU BG DE SE DK NL BE MT EE LV LT US SG JP AE AR MX",
    ),
)


class Theme(NamedTuple):
    name: str
    name_he: str
    description: str | None
    sentence: str
    sentence_he: str


THEMES = {
    "culture": Theme(
        "Cultural & Historical",
        "תרבות והיסטוריה",
        "Old towns, museums and living traditions",
        "People who live there open doors that guidebooks don't know.",
        "אנשי המקום פותחים דלתות שאינן מופיעות במדריכים.",
    ),
    "wildlife": Theme(
        "Wildlife",
        "חיות בר",
        "Animals where they live",
        "Bring binoculars: the animals come close.",
        "הביאו משקפת: החיות מתקרבות.",
    ),
    "extreme": Theme(
        "Extreme",
        "אקסטרים",
        "For those who want to be out of breath",
        "Some days end with shaking knees and a wide grin.",
        "יש ימים שמסתיימים בברכיים רועדות ובחיוך רחב.",
    ),
    "food": Theme(
        "Food & Wine",
        "אוכל ויין",
        "Markets, kitchens and cellars",
        "Every second evening somebody else cooks.",
        "בכל ערב שני מישהו אחר מבשל.",
    ),
    "beach": Theme(
        "Beach & Island",
        "חופים ואיים",
        "Sand, reefs and slow ferries",
        "Three afternoons belong to the beach.",
        "שלושה אחרי צהריים שמורים לחוף.",
    ),
    "mountain": Theme(
        "Mountain",
        "הרים",
        "Passes, huts and wide views",
        "The views are earned on foot or by cable car, as you like.",
        "אל התצפיות מגיעים ברגל או ברכבל, לבחירתכם.",
    ),
    "desert": Theme(
        "Desert",
        "מדבר",
        "Silence, dunes and stars",
        "One night is spent in the desert under the stars.",
        "לילה אחד עובר במדבר, תחת הכוכבים.",
    ),
    "snow": Theme(
        "Arctic & Snow",
        "קרח ושלג",
        "Ice, snow and low sun",
        "Warm boots and suits are provided.",
        "נעליים וחליפות חמות כלולות.",
    ),
    "tropical": Theme(
        "Tropical",
        "טרופי",
        "Forests, warm rain and fruit",
        "The forest is at its greenest in this season.",
        "היער ירוק במיוחד בעונה הזאת.",
    ),
    "lights": Theme(
        "Hanukkah & Christmas Lights",
        "אורות חנוכה וכריסמס",
        "Towns in their holiday lights",
        "The evenings are for lights, stalls and hot chestnuts.",
        "הערבים מוקדשים לאורות, לדוכנים ולערמונים חמים.",
    ),
    "wellness": Theme(
        "Wellness",
        "",
        None,
        "Mornings begin slowly, with baths or a stretch.",
        "הבקרים נפתחים לאט, ברחצה או במתיחות.",
    ),
}

TYPE_IDS = {trip_type.name: number for number, trip_type in enumerate(TRIP_TYPES, 1)}
TAG_IDS = {key: number for number, key in enumerate(THEMES, 1)}

PACES = {
    1: ("An easy pace, suitable for everyone.", "קצב נינוח, מתאים לכולם."),
    2: ("A comfortable pace with a few short walks.", "קצב נוח עם כמה הליכות קצרות."),
    3: ("Active days; some walks take half a day.", "ימים פעילים; חלק מההליכות נמשכות חצי יום."),
    4: ("Demanding: good fitness is needed.", "מאתגר: נדרש כושר גופני טוב."),
    5: ("For the very fit and experienced.", "לבעלי כושר וניסיון רב."),
}
