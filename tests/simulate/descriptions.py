"""Descriptions that the grammar of `human_control` was written on, and what they mean."""

FIRST = (
    ("400 people adopt cycling over 60 days.", {"people": 400, "habit": "cycling", "until": 60}),
    (
        "Simulate the spread of composting among 1,200 residents for 8 weeks.",
        {"people": 1200, "habit": "composting", "until": 56},
    ),
    (
        "In a town of 900 households, some start solar cooking. Run 3 months with imitation 0.4.",
        {"people": 900, "habit": "solar cooking", "until": 90, "imitation": 0.4},
    ),
    (
        "250 students take up chess over 30 days; they give it up rarely.",
        {"people": 250, "habit": "chess", "until": 30, "abandonment": 0.005},
    ),
    (
        "5,000 people adopt contactless payment for 100 days with a campaign on day 20 of strength 0.3.",
        {"people": 5000, "until": 100, "campaigns": ({"at": 20, "strength": 0.3},)},
    ),
    (
        "The spread of car sharing among 700 people over 12 weeks, at most 10 a day.",
        {"people": 700, "until": 84, "quota": 10},
    ),
    (
        "80 employees begin standing meetings, for 20 days, innovation 0.05, imitation 0.2, abandonment 0.1.",
        {"innovation": 0.05, "imitation": 0.2, "abandonment": 0.1, "habit": "standing meetings"},
    ),
    (
        "Let 2000 people adopt recycling over 90 days. Campaigns: a campaign of strength 0.2 on day 10 and a campaign "
        "on day 40 of strength 0.1.",
        {"campaigns": ({"at": 10, "strength": 0.2}, {"at": 40, "strength": 0.1})},
    ),
    (
        "1500 neighbours start gardening. They imitate each other strongly. Run 6 weeks.",
        {"people": 1500, "imitation": 0.6, "until": 42, "habit": "gardening"},
    ),
    (
        "Spread of meditation among 300 people, during 45 days, no more than 5 a day.",
        {"quota": 5, "until": 45, "habit": "meditation"},
    ),
    ("600 residents take up night buses for 10 weeks, with imitation weak.", {"imitation": 0.1, "until": 70}),
    ("For 50 days, 1000 people adopt tap water. They give it up often.", {"abandonment": 0.1, "habit": "tap water"}),
    ("350 students adopt flash cards over 4 weeks with innovation of 0.02.", {"innovation": 0.02, "until": 28}),
    (
        "How does the spread of vaccination among 10,000 people go over 180 days with a quota of 100?",
        {"people": 10000, "quota": 100, "until": 180},
    ),
    ("120 households begin bread baking for 25 days.", {"people": 120, "habit": "bread baking"}),
    (
        "Over 2 months, 450 people start running, with a campaign from day 7.",
        {"until": 60, "campaigns": ({"at": 7, "strength": 0.1},), "habit": "running"},
    ),
    ("75 employees adopt a new form over 15 days; abandonment 0.2.", {"habit": "a new form", "abandonment": 0.2}),
    ("The spread of cash-free markets in 820 households for 9 weeks.", {"habit": "cash-free markets", "until": 63}),
    ("3,300 people take up podcasts over 120 days, up to 50 a day, imitation 0.25.", {"quota": 50, "imitation": 0.25}),
    ("40 neighbours adopt tool lending, for 1 month, and drop it seldom.", {"abandonment": 0.01, "until": 30}),
)
SECOND = (
    ("Let 500 residents adopt tram travel over 75 days.", {"people": 500, "habit": "tram travel", "until": 75}),
    ("The spread of juggling among 90 students for 3 weeks.", {"people": 90, "habit": "juggling", "until": 21}),
    (
        "2,400 households take up heat pumps during 6 months with an innovation of 0.004.",
        {"people": 2400, "habit": "heat pumps", "until": 180, "innovation": 0.004},
    ),
    (
        "A village: 310 people start choir singing. Run 10 weeks. Imitation 0.45, abandonment 0.03.",
        {"people": 310, "until": 70, "imitation": 0.45, "abandonment": 0.03},
    ),
    ("650 neighbours adopt repair cafes for 40 days, at most 7 a day.", {"people": 650, "until": 40, "quota": 7}),
    (
        "With a campaign of strength 0.25 on day 12, 1,800 people adopt blood donation over 50 days.",
        {"people": 1800, "until": 50, "campaigns": ({"at": 12, "strength": 0.25},)},
    ),
    (
        "Over 30 days, 200 employees begin walking meetings and imitate each other weakly.",
        {"people": 200, "until": 30, "imitation": 0.1, "habit": "walking meetings"},
    ),
    (
        "I want to see 1000 people take up swimming over 8 weeks; they give it up seldom.",
        {"people": 1000, "until": 56, "abandonment": 0.01, "habit": "swimming"},
    ),
    (
        "Spread of bike helmets in 4,000 people over 120 days, campaigns: a campaign at day 15, a campaign at day 60.",
        {"people": 4000, "until": 120, "campaigns": ({"at": 15, "strength": 0.1}, {"at": 60, "strength": 0.1})},
    ),
    (
        "How fast do 260 students adopt a new app over 14 days if imitation is strong?",
        {"people": 260, "until": 14, "imitation": 0.6},
    ),
    ("80 households begin fermenting, for 2 months, no more than 3 a day.", {"quota": 3, "until": 60}),
    (
        "Simulate 7,500 residents who adopt district heating over 365 days with a quota of 40.",
        {"people": 7500, "until": 365, "quota": 40},
    ),
    ("Among 130 people, the spread of stargazing for 28 days.", {"people": 130, "habit": "stargazing", "until": 28}),
    ("330 people adopt oat milk for 5 weeks; they drop it often.", {"abandonment": 0.1, "until": 35}),
    (
        "The spread of mask wearing among 2,200 people for 100 days: innovation 0.02, imitation 0.5, abandonment 0.01.",
        {"innovation": 0.02, "imitation": 0.5, "abandonment": 0.01, "people": 2200},
    ),
    ("45 employees take up language lessons over 12 weeks, up to 2 a day.", {"quota": 2, "people": 45, "until": 84}),
    (
        "900 neighbours start beekeeping, over 90 days, with a campaign after day 30 of strength 0.4.",
        {"campaigns": ({"at": 30, "strength": 0.4},), "people": 900},
    ),
    (
        "In 1,100 households the spread of rain barrels over 4 months with weak imitation.",
        {"people": 1100, "until": 120, "imitation": 0.1},
    ),
    ("Take 60 people. They adopt origami. Run for 10 days.", {"people": 60, "habit": "origami", "until": 10}),
    (
        "3000 people adopt e-books over 200 days and give them up rarely.",
        {"people": 3000, "until": 200, "abandonment": 0.005},
    ),
)
