"""A training that is stopped right after one of its saves, as a kill would stop it."""

from pivm.learning.resume import Resume


class Stopped(Exception):
    pass


def stop_at_save(monkeypatch, number: int) -> list[int]:
    """Let the save of that number be the last of the training that does it.

    Returns:
        grows by one with each save, of this training and of those after it.
    """
    saves, save = [], Resume.save

    def stopping(self, make):
        save(self, make)
        saves.append(1)
        if len(saves) == number:
            raise Stopped

    monkeypatch.setattr(Resume, "save", stopping)
    return saves
