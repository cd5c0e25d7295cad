/* What all threads of a client share: the kit, the hospital's own rules, its store, and whom it tells. */
#ifndef MSFL_CLIENT_HUB_H
#define MSFL_CLIENT_HUB_H

#include "client/link.h"
#include "client/policy.h"
#include "client/report.h"
#include "client/site.h"
#include "medsecurefl/client.h"
#include "store/journal.h"

#include <pthread.h>

typedef struct client_hub {
    const msfl_client_options *o;
    char *folder;         /**< of the state */
    pthread_mutex_t lock; /**< of the kit, whose roster may be replaced, and of the observer */
    pki_kit *kit;
    msfl_identity_secret *secret;
    client_policy policy;
    client_site site;
    bool has_site;
    store *store;
    msfl_observer observer; /**< one call at a time, from any thread */
    client_reporter *reporter;
} client_hub;

/** `hub` is zeroed by the caller; clear it in any case. */
msfl_status client_hub_init(client_hub *hub, const msfl_client_options *options) MSFL_NODISCARD;
/** Kit and files of the hospital alone: no folder, no store, no reports. */
msfl_status client_hub_init_reading(client_hub *hub, const msfl_client_options *options) MSFL_NODISCARD;
void client_hub_clear(client_hub *hub);

/** A new connection under the kit's newest roster. */
msfl_status client_hub_link(client_hub *hub, const volatile int *cancel, uint32_t attempts,
                            client_link **out) MSFL_NODISCARD;
uint32_t client_hub_epoch(client_hub *hub);

/** This party's place in rounds under the newest roster. */
typedef struct client_seat {
    msfl_roster *roster;
    const msfl_roster_info *info;
    uint32_t epoch, party;
    bool is_hospital, is_member;
    uint8_t task[MSFL_HASH_BYTES];
} client_seat;
/** Of the job with this hash. ERR_MISSING: no round can be run under this roster, or this party is in none. Clear in
 * any case. */
msfl_status client_seat_take(client_hub *hub, const uint8_t job[MSFL_HASH_BYTES], client_seat *out) MSFL_NODISCARD;
void client_seat_clear(client_seat *seat);

/** Wait, or return early (ERR_CANCELLED) when `stop` is set. */
msfl_status client_pause(const volatile int *stop, uint32_t ms) MSFL_NODISCARD;
/** Milliseconds since 1970. */
uint64_t client_now_ms(void);

#endif
