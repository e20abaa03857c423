"""What the words of the retailer's catalogue stand for, checked by eye on the products bought most.

It writes in capitals, abbreviates, misspells and cuts off after 30 characters.
"""

from __future__ import annotations

NAMES = {
    "BEANS GREEN: FS/WHL/CUT": "Green Beans",
    "BREAST - BONELESS(IQF)": "Frozen Boneless Breast",
    "BUTTER SPRAY CRACKER (RITZ/CLU": "Butter Crackers",
    "BUTTS": "Pork Butt",
    "CANDY BARS (MULTI PACK)": "Pack of Candy Bars",
    "CANDY BARS (SINGLES)(INCLUDING": "Candy Bar",
    "CANTALOUPE WHOLE": "Whole Cantaloupe",
    "CARDS EVERYDAY": "Greeting Card",
    "CATSUP": "Ketchup",
    "CAULIFLOWER WHOLE": "Whole Cauliflower",
    "CHEESE CRACKERS (CHEEZ-ITS/GOL": "Cheese Crackers",
    "CHERRIES RED": "Red Cherries",
    "CHICKEN BREAST BONE IN": "Bone-In Chicken Breast",
    "CHICKEN BREAST BONELESS": "Boneless Chicken Breast",
    "CHIX:FRD 8PC/CUT UP (HOT)": "Hot Fried Chicken",
    "CUBED MEATS": "Cubed Beef",
    "DAIRY CASE 100% PURE JUICE - O": "Orange Juice",
    "DAIRY CASE 100% PURE JUICE OTH": "100% Juice",
    "DAIRY CASE FRUIT DRINKS (NO JU": "Fruit Drink",
    "DAIRY CASE JUICE DRNK UNDER 10": "Juice Drink",
    "DAIRY CASE TEA WITH SUGAR OR S": "Sweet Tea",
    "FACIAL TISSUE & PAPER HANDKE": "Facial Tissues",
    "FLUID MILK WHITE ONLY": "White Milk",
    "GARLIC WHOLE CLOVES": "Garlic",
    "GASOLINE-REG UNLEADED": "Regular Unleaded Gasoline",
    "GRND/PATTY - FROZEN": "Frozen Ground Meat Patties",
    "HERBS CILANTO": "Cilantro",
    "ICE - CRUSHED/CUBED": "Ice Cubes",
    "IWS SINGLE CHEESE": "Sliced Cheese Singles",
    "MACARONI & CHEESE DNRS": "Macaroni & Cheese Dinner",
    "MARGARINE: TUBS AND BOWLS": "Margarine Tub",
    "MEXICAN SOFT TORTILLAS AND WRA": "Soft Tortillas & Wraps",
    "MUSHROOMS W/WHOLE PKG": "Whole White Mushrooms",
    "MUSHROOMS WHITE SLICED PKG": "Sliced White Mushrooms",
    "NATURAL CHEESE EXACT WT SLICES": "Natural Cheese Slices",
    "NON-CRBNTD DRNKING/MNERAL WATE": "Drinking Water",
    "ORANGES NAVELS ALL": "Navel Oranges",
    "PEACHES YELLOW FLESH": "Yellow Peaches",
    "PEAS GREEN": "Green Peas",
    "PIZZA/ECONOMY": "Economy Pizza",
    "PIZZA/PREMIUM": "Premium Pizza",
    "PIZZA/TRADITIONAL": "Traditional Pizza",
    "POTATOES SWEET&YAMS": "Sweet Potatoes & Yams",
    "REFRIGERATED COOKIES-CHUB": "Refrigerated Cookie Dough",
    "ROLLS: BAGELS": "Bagels",
    "SEMI-SOLID SALAD DRESSING MAY": "Mayonnaise & Salad Dressing",
    "SFT DRNK 2 LITER BTL CARB INCL": "Soft Drink, Large Bottle",
    "SFT DRNK MLT-PK BTL CARB (EXCP": "Soft Drinks, Pack of Bottles",
    "SFT DRNK SNGL SRV BTL CARB (EX": "Soft Drink, Single Bottle",
    "SOFT DRINKS 12/18&15PK CAN CAR": "Soft Drinks, Pack of Cans",
    "SOFT DRINKS 20PK&24PK CAN CARB": "Soft Drinks, Large Pack of Cans",
    "SOUP/STEW": "Stew Beef",
    "SPAGHETTI DRY": "Spaghetti",
    "SW GDS: SW ROLLS/DAN": "Sweet Rolls & Danish",
    "TOMATOES: STEWED/DICED/CRMD": "Stewed & Diced Tomatoes",
    "WATERMELON SEEDLESS WHOLE": "Whole Seedless Watermelon",
}
"""Types that no rule makes readable."""

WORDS = {
    "ASST": "Assorted", "BBQ": "BBQ", "BF": "Beef", "BKD": "Baked", "BNLS": "Boneless", "BR": "Bread", "BRD": "Bread",
    "BRKFST": "Breakfast", "BTL": "Bottle", "BTLS": "Bottles", "CARB": "Carbonated", "CHIX": "Chicken",
    "CHOC": "Chocolate", "CKN": "Chicken", "CND": "Canned", "CNDY": "Candy", "CREAMS": "Cream", "DETRGNT": "Detergent",
    "DNR": "Dinner", "DNRS": "Dinners", "DRNK": "Drink", "DRNKS": "Drinks", "DRSNG": "Dressing", "FLVRD": "Flavored",
    "FRD": "Fried", "FRE": "Fresh", "FRZ": "Frozen", "FRZN": "Frozen", "GRND": "Ground", "LUNCHMEAT": "Lunch Meat",
    "MLK": "Milk", "PCKGD": "Packaged", "PK": "Pack", "PKG": "Packaged", "PNT": "Peanut", "PWDRS": "Powders",
    "REF": "Refrigerated", "REFRGRATD": "Refrigerated", "REFRIG": "Refrigerated", "REG": "Regular", "SAUS": "Sausage",
    "SFT": "Soft", "SNDWCH": "Sandwich", "SNGL": "Single", "SPECILATY": "Specialty", "SPRD": "Spread", "SRV": "Serve",
    "SUBSTITUTS": "Substitutes", "SWEETNERS": "Sweeteners", "TORT": "Tortilla", "TV": "TV", "VEG": "Vegetables",
    "WHL": "Whole", "WHT": "White", "YOG": "Yogurt",
    "ALL": "", "BULK": "", "MAINSTREAM": "", "MISC": "", "OTHER": "", "SS": "",
}  # fmt: skip
"""Abbreviated and misspelt words of types; the last say nothing to a buyer."""

HEADS = {"CHIX": "Chicken", "MEAT": "", "PREP FD": "", "RTS SOUP": "Soup", "SW GDS": ""}
"""Where a type is `HEAD: KIND`, the head as it stands after the kind, if not in its own words."""

NOUNS = {
    "BACON": "Bacon", "BEEF": "Beef", "BEERS/ALES": "Beer", "BREAKFAST SAUSAGE/SANDWICHES": "Breakfast Sausage",
    "CAT FOOD": "Cat Food", "COLD CEREAL": "Cereal", "DINNER SAUSAGE": "Sausage", "DOG FOODS": "Dog Food",
    "FRZN ICE CREAM": "Ice Cream", "HOT DOGS": "Hot Dogs", "ICE CREAM/MILK/SHERBTS": "Ice Cream", "LAMB": "Lamb",
    "LUNCHMEAT": "Lunch Meat", "PASTA SAUCE": "Pasta Sauce", "PORK": "Pork", "SALAD MIX": "Salad Mix",
    "TURKEY": "Turkey", "VEAL": "Veal", "YOGURT": "Yogurt",
}  # fmt: skip
"""Categories whose types may say only of which kind: `LEAN` below `BEEF`."""

KINDS = {
    "BASE MEAT": "Classic", "ECONOMY - MEAT": "Economy", "LINKS - RAW": "Link", "PREMIUM - MEAT": "Premium",
    "PRIMAL": "Primal Cut", "REGULAR GARDEN": "Garden", "ROLLS - PORK": "Pork", "SALAD SPINACH": "Spinach",
    "SANDWICHES/BISCUITS/GRAVY": "Sandwich", "SUPER PREMIUM PINTS": "Super Premium",
}  # fmt: skip
"""Such kinds, where they read otherwise before the noun."""

WAYS = {"HEAT/SERVE": "Heat & Serve", "FRZN MEAT/MEAT DINNERS": "Frozen"}
"""Categories that say how their types come, which stands before the type."""

UNITS = {
    "CT": "ct", "DOZ": "dozen", "DZ": "dozen", "FT": "ft", "GA": "gal", "GAL": "gal", "L": "L", "LB": "lb", "LT": "L",
    "LTR": "L", "ML": "ml", "OZ": "oz", "PK": "pack", "PT": "pt", "QT": "qt", "SQ FT": "sq ft",
}  # fmt: skip
"""Units of package sizes."""
