"""The one error that a user of sppdet is meant to read."""


class SppdetError(Exception):
    """Bad input: one line that names the file or the option, and the remedy.

    The command line prints the line and exits with code 2, without a traceback.
    """


class SppdetWarning(UserWarning):
    """Something that a user should know and that did not stop the work, in one line.

    The command line prints it as a note.
    """
