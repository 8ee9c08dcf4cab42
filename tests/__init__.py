"""The tests of restore-archive; folders mirror the packages."""
