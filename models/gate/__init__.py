"""Whether a release goes live: floors, champion against challenger, guardrails, the decision and its model card."""

__all__ = ["floors", "submission"]
