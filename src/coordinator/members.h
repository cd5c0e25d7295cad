/* A roster as the coordinator uses it: the federation's and the round's, shared by jobs and handlers. */
#ifndef MSFL_COORDINATOR_MEMBERS_H
#define MSFL_COORDINATOR_MEMBERS_H

#include "medsecurefl/roster.h"
#include "pki/roster.h"

#include <stdatomic.h>

/** Immutable but for its count. */
typedef struct coord_members {
    atomic_int holders;
    pki_roster *pki;
    msfl_roster *round; /**< NULL: no round can be run under it yet */
    char *why;          /**< then: what is missing */
    char *text;         /**< the signed roster.yaml */
    size_t length;
} coord_members;

/** From the signed text, checked against the consortium's key. Held once. */
msfl_status coord_members_new(const char *text, size_t length, const uint8_t consortium[MSFL_SIGN_PUBLIC_BYTES],
                              coord_members **out) MSFL_NODISCARD;
coord_members *coord_members_hold(coord_members *members);
/** The last one frees it. NULL is fine. */
void coord_members_drop(coord_members *members);

#endif
