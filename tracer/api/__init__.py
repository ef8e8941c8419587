"""The Python interface: captures and live packets as DataFrames.

    import tracer
    incident = tracer.read("incident/")
    incident.hops.groupby("device", observed=True)["delta"].median()

What there is to use are names of `tracer` itself, which loads them from here.
"""
