"""The online store: at its cursor, for every athlete exactly the newest gold row.

Feast gives the registry, the views, the stores and the way of reading. What writes is `sync`:
Feast's own materialisation never takes back what gold has corrected, moved or deleted.
"""
