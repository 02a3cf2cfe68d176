"""What Spillway's triggers call. Floors, lowest first; a module imports from lower floors and its own package only.

4  gateway.py                                composition root
3  operations/                               one Operation per endpoint
2  callers/  routing/  spend/  files/         who asks, who serves, what it cost, what is kept for whom;
   plan.py                                   what environment and file say
1  upstream/  storage/  catalog/  usage/     how Azure is reached, blobs and tables, capabilities, meters
0  errors.py settings.py ids.py seal.py supervisor.py telemetry.py hosting.py config/
"""
