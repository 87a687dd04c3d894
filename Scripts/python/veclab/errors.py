"""The one exception of the package."""


class VeclabError(Exception):
    """Something that VECLab refuses, in its own words: what is wrong, where, and what helps."""
