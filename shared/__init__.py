"""What Spillway's triggers call. Floors, lowest first; a module imports from lower floors and its own package only.

4  gateway.py                        composition root
3  operations/                       one Operation per endpoint
2  callers/  routing/                who asks, who serves
1  upstream/  catalog/  usage/       how Azure is reached, capabilities and api-versions, meters
0  errors.py settings.py ids.py config/ telemetry.py
"""
