"""Whether a profile may play a title, where and when it asks (ADR 15): what is known (facts.py), by what it is entitled
(entitling.py), and the decision (admitting.py).
"""

from commands.playback.admission.admitting import Admission, Asked, admit, begin_rental

__all__ = ["Admission", "Asked", "admit", "begin_rental"]
