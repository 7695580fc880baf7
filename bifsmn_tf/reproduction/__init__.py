"""The papers' tables as data, and what trains their rows and sets figures side by side.

`tables` needs nothing heavy; `experiment` trains; `report` collects.
"""
