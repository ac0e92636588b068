"""People for worlds: who they are, and how they behave.

Who they are
    persona          `Persona`, read and written as JSON and Parquet; somebody who cannot be is refused
    contradictions   statements about one person that cannot both be true
    expand, grammar  many people from a few, without a model or by one
    prefab           ten neighbours and three scenes
    fitted           fitted households as personas

How they behave
    households       a population fitted on a log of purchases: `visits`, `sizes`, `tastes` (`components`, `past`)
    shoppers         those households as the people of a `World`, and what they did as a `Log`
    advising         a fitted system as what shows them items
    choosers         by script; by multinomial choice from slates; by the taste of any system that scores
    planning         a mind with memory, reflection and a plan for the day, by a language model
    gym              households as a `gymnasium.Env` for a recommender

Whether to believe them
    validating       held-out weeks, beside `resampling` and personal frequency, by proper scores
    displays         how much more is taken of what is shown, read from a log with displays
    loop             recommenders tried on fitted people, their effects (`outcomes`), trained again; `telling` it

Errors: `PersonaError` (a persona that cannot be read or cannot be), `OptionError`, `StepError`.
"""
