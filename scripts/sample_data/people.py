"""Companies that run the trips, and the guides who lead them."""

from schemas.enums import Gender

COMPANIES = (
    ("Almond Road Travel", "דרך השקד", "Journeys in depth since 1991."),
    ("Blue Meridian", "המרידיאן הכחול", "Small ships and far coasts."),
    ("Cedar & Compass", "ארז ומצפן", "Walking tours with light packs."),
    ("Dune Riders", "רוכבי הדיונות", "Deserts by jeep and on foot."),
    ("First Light Safaris", "אור ראשון", "Parks of Africa with trackers who grew up there."),
    ("Golden Rail", "מסילת הזהב", "The world from a window seat."),
    ("Monsoon Trails", "שבילי המונסון", "Asia from the Himalayas to the islands."),
    ("Northern Sky", "שמי הצפון", "Snow, lights and silence."),
    ("Open Table Tours", "שולחן פתוח", "Travel by way of the kitchen."),
    ("Southern Cross Voyages", "הצלב הדרומי", None),
    ("Wide Angle", "זווית רחבה", "Photography with teachers."),
    ("Yellow Umbrella", "המטרייה הצהובה", "Groups of friends, families and firms."),
)

FIRST_NAMES = (
    ("Noa", "נועה", Gender.FEMALE),
    ("Amit", "עמית", Gender.OTHER),
    ("Daniel", "דניאל", Gender.MALE),
    ("Tamar", "תמר", Gender.FEMALE),
    ("Yonatan", "יונתן", Gender.MALE),
    ("Shira", "שירה", Gender.FEMALE),
    ("Omer", "עומר", Gender.MALE),
    ("Yael", "יעל", Gender.FEMALE),
)

LAST_NAMES = (
    ("Shaked", "שקד"),
    ("Barak", "ברק"),
    ("Golan", "גולן"),
    ("Harel", "הראל"),
    ("Negev", "נגב"),
    ("Sela", "סלע"),
)
