"""What happens when something is seen: conditions, quiet times, actions.

``RuleDesk.open(settings)``, then ``seen(source, result, time)`` for every capture.
"""

from sightline.rules.desk import Alert, RuleDesk

__all__ = ["Alert", "RuleDesk"]
