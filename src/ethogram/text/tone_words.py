"""Word lists for the tone of a text, by category; put together for this package, so that they may go wherever it goes.

They are short and plain English: enough to compare people with each other, not to judge one sentence.
"""

from __future__ import annotations


def _list(words: str) -> frozenset[str]:
    return frozenset(words.split())


CATEGORIES: dict[str, frozenset[str]] = {
    "swear": _list("""
        ass asses arse arsehole asshole assholes bastard bastards bitch bitches bloody bollocks bullshit crap crappy
        cunt damn damned dick dickhead douche dumbass fuck fucked fucker fuckers fucking goddamn hell idiot idiots
        jackass jerk moron morons motherfucker piss pissed prick pussy retard retarded scum shit shits shitty slut stfu
        suck sucks twat wanker whore wtf"""),
    "positive": _list("""
        admire amazing appreciate beautiful best better brilliant celebrated charming correct delight delightful easy
        effective elegant enjoy excellent fair famous fantastic fine friendly glad good great happy helpful hope
        impressive improve improved interesting joy kind like love loved lovely nice outstanding perfect pleasant
        pleased popular praised proud reliable remarkable respected safe success successful superb support thank
        thanks useful valuable welcome well win wonderful"""),
    "negative": _list("""
        abuse angry annoying awful bad biased blame broken corrupt cruel danger dangerous dead destroy dirty disgusting
        dishonest dreadful error evil fail failed failure fake false fear fraud guilty harm hate hated horrible hurt
        ignorant kill liar lie lies lose lost miserable nasty nonsense pathetic poor problem propaganda racist reject
        rubbish rude sad shame sick stupid terrible trash ugly unfair useless victim vile violent weak worse worst
        wrong"""),
    "opinion": _list("""
        absolutely actually allegedly apparently arguably basically believe certainly clearly completely definitely
        doubt doubtless essentially extremely feel frankly fully guess honestly hopefully imagine incredibly indeed
        interestingly likely literally maybe merely obviously opinion perhaps possibly presumably probably quite rather
        really seem seems seemingly simply somewhat supposedly sure surely suspect think thought totally truly
        undoubtedly unfortunately utterly very"""),
    "self": _list("i im ive me my mine myself we us our ours ourselves"),
    "other": _list("you your yours yourself he him his she her hers they them their theirs"),
    "negation": _list("""
        no not never none nobody nothing neither nor cannot cant don dont doesn doesnt didn didnt isn isnt wasn wasnt
        wont without"""),
    "certainty": _list("all always every everybody everyone fact facts must never prove proved proven true truth"),
    "tentative": _list("almost apparently could guess if likely maybe may might often or perhaps possibly seems some"),
    "cause": _list("because cause caused causes due effect hence reason result since so therefore thus why"),
    "social": _list("""
        brother child children community family father friend friends group home husband mother neighbour parents people
        sister society talk team together wife"""),
    "wiki": _list("""
        article articles block blocked cite citation delete deleted edit edits editor page pages ref refs remove removed
        revert reverted section source sources talk undid undo vandalism"""),
}
"""Category -> its words, as `text.words.split` writes words."""
