/* The rosters of a record, each with the names that its numbers mean. */
#ifndef MSFL_AUDIT_ROSTERS_H
#define MSFL_AUDIT_ROSTERS_H

#include "audit/folder.h"

enum { AUDIT_ROSTERS_MAX = 1024 };

typedef struct audit_roster {
    uint32_t epoch;
    msfl_roster *round;
    const msfl_roster_info *info;
    char (*names)[MSFL_PROVISION_NAME_MAX + 1]; /* info->n_parties */
    uint8_t task[MSFL_HASH_BYTES];
    /* how far its chain has been followed */
    uint64_t number;
    uint8_t last[MSFL_HASH_BYTES];
} audit_roster;

typedef struct audit_rosters {
    audit_roster *items; /* by epoch */
    uint32_t n;
    char federation[MSFL_PROVISION_NAME_MAX + 1];
    uint8_t fingerprint[MSFL_PROVISION_FINGERPRINT_BYTES], consortium[32];
    bool is_pinned;
} audit_rosters;

/** Read and verify all; `consortium` NULL: that of the first. `federation` NULL: any, but one. Clear with
 *  audit_rosters_clear. */
msfl_status audit_rosters_load(const audit_folder *folder, const uint8_t *consortium, const char *federation,
                               const uint8_t job[MSFL_HASH_BYTES], audit_rosters *out) MSFL_NODISCARD;
void audit_rosters_clear(audit_rosters *rosters);

/** The one that announcements name by this hash. ROSTER_MISSING; `file` stands in the message. */
msfl_status audit_rosters_find(audit_rosters *rosters, const char *file, const uint8_t hash[MSFL_HASH_BYTES],
                               audit_roster **out) MSFL_NODISCARD;

/** Name of a party, lent by the roster; "coordinator" stands for none: every number of a verified record has one. */
const char *audit_roster_name(const audit_roster *roster, uint32_t party);
/** A hospital's number; UINT32_MAX if it is none of this roster. */
uint32_t audit_roster_client(const audit_roster *roster, const char *name);

#endif
