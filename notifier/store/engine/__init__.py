"""Engine: connection, writer thread, outages; `sqlite` and `postgresql` hold what is different per database system."""
