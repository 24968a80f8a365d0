"""The norms that rules carry: Normenkader IBP FO, CH.01 to CH.06, row by row.

Row ids are cited by rules, findings, tests and documentation; the texts are short
restatements for people. Pure data.
"""

from __future__ import annotations

from otapgate.i18n import N_

NORMS: dict[str, str] = {
    "CH01-01": N_("policy for change management is documented and communicated"),
    "CH01-02": N_("one formal process for all kinds of changes"),
    "CH01-03": N_("the process covers everything up to production"),
    "CH01-04": N_("roles and responsibilities are assigned"),
    "CH01-05": N_("requests are handled in a standard way"),
    "CH01-06": N_("changes are documented, correctly and up to date"),
    "CH01-07": N_("a version control system"),
    "CH01-08": N_("documentation shows that changes followed the procedure"),
    "CH02-01": N_("categorising, prioritising and authorising follow a procedure"),
    "CH02-02": N_("impact is assessed before the change"),
    "CH02-03": N_("changes are formally authorised"),
    "CH02-04": N_("process owner and stakeholders approve each request"),
    "CH02-05": N_("priority rests on criteria set beforehand"),
    "CH02-06": N_("results of changes are reported"),
    "CH03-01": N_("the emergency procedure is laid down"),
    "CH03-02": N_("emergency changes are carried out in a standard way"),
    "CH03-03": N_("roles in emergencies are assigned"),
    "CH03-04": N_("emergency changes are authorised and documented"),
    "CH03-05": N_("checks are carried out after the emergency"),
    "CH03-06": N_("critical deviations are evaluated"),
    "CH04-01": N_("policy for the test environment"),
    "CH04-02": N_("a secure test environment is defined and set up"),
    "CH04-03": N_("the test environment represents production"),
    "CH04-04": N_("the test environment is separate from production"),
    "CH04-05": N_("the test environment is protected against unauthorised use"),
    "CH04-06": N_("test and production environments have an owner"),
    "CH04-07": N_("data in the test environment meets privacy law"),
    "CH05-01": N_("policy for testing"),
    "CH05-02": N_("roles in testing are assigned"),
    "CH05-03": N_("test plans exist before tests run"),
    "CH05-04": N_("the test plan covers security and performance"),
    "CH05-05": N_("changes are tested independently, following the plan"),
    "CH05-06": N_("test results are kept and deleted by a procedure"),
    "CH05-07": N_("rollback is prepared and tested before production"),
    "CH06-01": N_("policy for handing over changed systems"),
    "CH06-02": N_("environments are passed in order, with approval"),
    "CH06-03": N_("important stakeholders sign off"),
    "CH06-04": N_("roles in promotion are assigned"),
    "CH06-05": N_("access rules bring about separation of duties"),
    "CH06-06": N_("handover follows an implementation plan"),
    "CH06-07": N_("old and new run in parallel where needed"),
    "CH06-08": N_("acceptance criteria are set, tests run and logged"),
    "CH06-09": N_("what was accepted is really what is handed over"),
    "FRZ-1": N_("no changes in test weeks, exams and the start of the school year"),
    "IBP-1": N_("extra care for security and privacy changes"),
}
