/* The round's roster (medsecurefl/roster.h) as it follows from the federation's: nothing of it is kept twice. */
#ifndef MSFL_PKI_ROUND_H
#define MSFL_PKI_ROUND_H

#include "pki/roster.h"
#include "pki/secret.h"

/* Parties of the round are the federation's that were not revoked, numbered anew: hospitals in the order of the
 * federation's roster, then the members of the committee that are no hospital, in the order in which `members` names
 * them. Operators have no number. Numbers are those of one epoch: a hospital that is revoked makes those behind it
 * close up. */

/**
 * The round's roster, rebuilt from the federation's, and the consortium's signature under it verified. Its epoch is the
 * federation's, so every new roster is a new one for rounds too. Free with msfl_roster_free.
 * @retval MSFL_ERR_MISSING  no round can be run under it yet; the message names who is awaited
 * @retval MSFL_ERR_CRYPTO   the signature does not hold
 * @retval MSFL_ERR_POLICY, MSFL_ERR_USAGE  what the consortium signed is no roster of a round (msfl_roster_read)
 */
msfl_status pki_roster_round(const pki_roster *roster, msfl_roster **out) MSFL_NODISCARD;

/** A party's number in rounds; MSFL_COORDINATOR for the coordinator. ERR_MISSING for who is in no round: a name that is
 *  not in the roster, was revoked, or has a role without a part. `number` is 0 then. */
msfl_status pki_round_party(const pki_roster *roster, const char *name, uint32_t *number) MSFL_NODISCARD;
/** The name of a number, lent by the roster; NULL for a number that nobody has. */
const char *pki_round_name(const pki_roster *roster, uint32_t number);
/** Hospitals that take part: numbers 0 to this. */
uint32_t pki_round_hospitals(const pki_roster *roster);

/** An identity in the form in which the round's machines take it: locked memory, msfl_identity_free. */
msfl_status pki_round_secret(const pki_identity *identity, msfl_identity_secret **out) MSFL_NODISCARD;

/** Sign: fills `roster->round`. As the consortium, once everything else of the roster stands (its epoch above all). */
msfl_status pki_round_sign(pki_roster *roster, const pki_identity *consortium) MSFL_NODISCARD;

#endif
