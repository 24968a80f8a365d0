"""What an otapgate host is asked about, part by part: standard library only, Python 3.8.

No part imports Ansible, so that all fall under otapgate's own licence.
"""
