"""The empty request for change, with explanation, in English and Dutch.

Keys and values are the same in both. Only text; what the fields mean is in `vtw_file.py`.
"""

from __future__ import annotations

ENGLISH = """\
# yaml-language-server: $schema=../.otapgate/schema/change.json
# Request for change. Fill in every field; lines with # explain, or apply only sometimes.
# Submit it with: otapgate change new --from THIS-FILE

# What the change is, in one line.
title:
# Who asks for it (full name), and of which school or department.
requester:
department:
# When it is asked: 2026-01-31
date:
# regular, standard or emergency
kind: regular
# application, procedure, process, system, service, platform or infrastructure
object: application
# The street it moves through (not for a procedure or process).
street:
# For a standard change: which one.
# template:
# For an emergency: why it can't wait, and what goes wrong if nothing is done.
# emergency:
#   reason:
#   threat:

# What changes, and why.
what:
why:
# Everything it touches, a line each.
objects:
  -
# Owners of the processes it touches (full names).
process_owners:
  -
# Who else has an interest: one a line below it, with '- ' before it.
stakeholders: []
# When it is wanted, and when it must be there at the latest.
wanted:
latest:
# What happens if it is not done.
without:
# As you see it: low, medium or high.
impact:
urgency:

# Consequences for security? true or false; if true, which.
security:
# security_consequences:
# Personal data touched? true or false; if true, which and whose, and whether a data
# protection impact assessment (DPIA) is done, planned or not-needed (then say why).
privacy:
# privacy_consequences:
# dpia:
# dpia_because:
# Consequences for law, regulation and contracts.
legal:
# What it costs, in money and hours.
cost:
# Does a supplier do any of it? true or false; if true, which.
by_supplier:
# supplier:

# How it is tested.
test_approach:
# How it is undone if it goes wrong, and how many minutes that may take.
rollback_approach:
rollback_minutes:
# Who is told what, when and by whom.
communication:
# Must old and new run side by side for a time? true or false
parallel_run:
# Documents that belong to it.
attachments: []
"""

DUTCH = """\
# yaml-language-server: $schema=../.otapgate/schema/change.json
# Verzoek tot wijziging (VTW). Vul elk veld in; regels met # leggen uit of gelden soms.
# Indienen: otapgate change new --from DIT-BESTAND

# Wat de wijziging is, in één regel.
title:
# Wie vraagt het aan (volledige naam), en van welke school of afdeling.
requester:
department:
# Wanneer het is aangevraagd: 2026-01-31
date:
# regular (regulier), standard (standaard) of emergency (spoed)
kind: regular
# application (toepassing), procedure, process (proces), system (systeem), service (dienst),
# platform of infrastructure (infrastructuur)
object: application
# De OTAP-straat waar ze doorheen gaat (niet voor een procedure of proces).
street:
# Bij een standaardwijziging: welke.
# template:
# Bij spoed: waarom het niet kan wachten, en wat er misgaat als er niets gebeurt.
# emergency:
#   reason:
#   threat:

# Wat er verandert, en waarom.
what:
why:
# Alles wat geraakt wordt, per regel één.
objects:
  -
# Eigenaren van de geraakte processen (volledige namen).
process_owners:
  -
# Wie er verder belang bij heeft: elk op een regel eronder, met '- ' ervoor.
stakeholders: []
# Wanneer het gewenst is, en wanneer het er uiterlijk moet zijn.
wanted:
latest:
# Wat er gebeurt als het niet doorgaat.
without:
# Zoals u het ziet: low (laag), medium (midden) of high (hoog).
impact:
urgency:

# Gevolgen voor de beveiliging? true (ja) of false (nee); zo ja, welke.
security:
# security_consequences:
# Worden persoonsgegevens geraakt? true (ja) of false (nee); zo ja, welke en van wie, en of
# een DPIA gedaan is (done), gepland (planned) of niet nodig (not-needed; zeg dan waarom).
privacy:
# privacy_consequences:
# dpia:
# dpia_because:
# Gevolgen voor wet- en regelgeving en voor contracten.
legal:
# Wat het kost, in geld en uren.
cost:
# Doet een leverancier er iets van? true (ja) of false (nee); zo ja, welke.
by_supplier:
# supplier:

# Hoe het getest wordt.
test_approach:
# Hoe het wordt teruggedraaid als het misgaat, en hoeveel minuten dat mag duren.
rollback_approach:
rollback_minutes:
# Wie wat wanneer te horen krijgt, en van wie.
communication:
# Moeten oud en nieuw een tijd naast elkaar draaien? true (ja) of false (nee)
parallel_run:
# Documenten die erbij horen.
attachments: []
"""
