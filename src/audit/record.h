/* One verified transcript as a round that people can look at. */
#ifndef MSFL_AUDIT_RECORD_H
#define MSFL_AUDIT_RECORD_H

#include "audit/rosters.h"

/** A round with the memory of its lists. */
typedef struct audit_round {
    msfl_audit_round view;
    char reason[201];
    const char **names; /* cohort, signers, answerers, one after the other */
} audit_round;

/** Fill everything but the own part from a transcript that was verified under `roster`. Clear in any case. */
msfl_status audit_round_fill(const msfl_transcript *t, const audit_roster *roster, audit_round *out) MSFL_NODISCARD;
/** What an announcement alone says. */
void audit_round_announce(const msfl_announcement *a, const audit_roster *roster, audit_round *out);
void audit_round_clear(audit_round *round);

/** The statement of a client in the cohort, as it stands in the transcript; NULL. */
const uint8_t *audit_statement_of(const msfl_transcript *t, const audit_roster *roster, uint32_t client);

#endif
