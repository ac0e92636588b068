"""stub"""


def report(): ...
