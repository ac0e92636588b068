"""stub"""


def clusters(): ...
