"""Whether a profile may play a title, where and when it asks (ADR 15): what is known (facts.py), what
of it refuses (checking.py), by what it is entitled (entitling.py), and the decision (admitting.py).
"""

from commands.playback.admission.admitting import Admission, admit, begin_rental
from commands.playback.admission.checking import Asked

__all__ = ["Admission", "Asked", "admit", "begin_rental"]
