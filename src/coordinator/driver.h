/* One task's round machine with its journal, its spool and its lock: what the machine wants done is done here, in
 * order.
 *
 * Any thread may call. A call that journals returns when the journal is on disk; what a party is told goes out after
 * that. When the disk fails, the machine in memory is given up and made anew from its journal at the next call, so that
 * it never is ahead of what it would remember.
 */
#ifndef MSFL_COORDINATOR_DRIVER_H
#define MSFL_COORDINATOR_DRIVER_H

#include "base/bytes.h"
#include "coordinator/members.h"
#include "coordinator/plain.h"
#include "coordinator/spool.h"
#include "store/journal.h"

typedef struct coord_driver coord_driver;

typedef struct coord_driver_options {
    store *store;                       /**< all borrowed for the driver's life */
    const char *spool_folder;           /**< of this task alone */
    coord_members *members;             /**< held; `round` must be there */
    const msfl_identity_secret *secret; /**< the roster's coordinator */
    msfl_params params;
    bool plain; /**< scheme plain: no machine and no parameters; `spool_folder` holds what was uploaded */
    uint8_t task[MSFL_HASH_BYTES];
    /** A finished round's transcript, to be kept for good; called again, also after a restart, until it succeeds. */
    msfl_status (*record)(void *ctx, const uint8_t *transcript, size_t length);
    void *ctx;
} coord_driver_options;

/** Replays the journal, and takes partial uploads up again where their files end. */
msfl_status coord_driver_new(const coord_driver_options *options, coord_driver **out) MSFL_NODISCARD;
/** Another holder; each calls coord_driver_free, the last one frees. */
coord_driver *coord_driver_hold(coord_driver *driver);
void coord_driver_free(coord_driver *driver);

/** Something else that must be remembered in the same step as the machine's records: all of it or nothing. */
typedef struct coord_also {
    msfl_status (*keep)(void *ctx, store *store); /**< NULL: nothing */
    void *ctx;
} coord_also;

/** A message of `party`; what it should hear in return is appended to `frames`: u32 length and bytes each. Failures as
 *  msfl_coordinator_receive; `frames` may be NULL. */
msfl_status coord_driver_receive(coord_driver *driver, uint64_t now_ms, uint32_t party, const uint8_t *message,
                                 size_t length, msfl_buffer *frames) MSFL_NODISCARD;
/** All that `party` should hear now. */
msfl_status coord_driver_poll(coord_driver *driver, uint32_t party, msfl_buffer *frames) MSFL_NODISCARD;
/** The deadline, a custody of the coordinator's own, transcripts that are still to be kept. */
msfl_status coord_driver_tick(coord_driver *driver, uint64_t now_ms) MSFL_NODISCARD;
/** As the machine's functions of these names. `*number` is that of the round; the machine knows it when it has opened,
 *  and `also` is called with it. */
msfl_status coord_driver_open(coord_driver *driver, uint64_t now_ms, const msfl_round_offer *offer,
                              const coord_also *also) MSFL_NODISCARD;
msfl_status coord_driver_close(coord_driver *driver, uint64_t now_ms) MSFL_NODISCARD;
msfl_status coord_driver_abort(coord_driver *driver, const char *reason, const coord_also *also) MSFL_NODISCARD;
msfl_status coord_driver_finish(coord_driver *driver, const uint8_t result[MSFL_HASH_BYTES],
                                const coord_also *also) MSFL_NODISCARD;
/** Sums of chunk `j` of the opened round. By one thread, which alone finishes rounds. */
msfl_status coord_driver_total(coord_driver *driver, uint64_t j, uint64_t *totals) MSFL_NODISCARD;
/** DELIVERING: chunk `j` of the folded sum, put in the place of what is in `out`. */
msfl_status coord_driver_folded(coord_driver *driver, uint64_t j, msfl_buffer *out) MSFL_NODISCARD;
/** What hospitals say of a sum that they were handed. */
typedef struct coord_delivery {
    bool agreed; /**< the round can be finished with `result`, as msfl_coordinator_agreed */
    uint8_t result[MSFL_HASH_BYTES], model[MSFL_HASH_BYTES]; /**< `model`: as it was announced */
    uint32_t n_reports, n_agree;
    uint64_t others; /**< the first 64 hospitals that report another result, one bit each */
} coord_delivery;
msfl_status coord_driver_delivery(coord_driver *driver, coord_delivery *out) MSFL_NODISCARD;
/** Chunks of a vector of so many values, and slots of chunk `j`. */
uint64_t coord_driver_chunks(const coord_driver *driver, uint64_t n_values);
uint32_t coord_driver_chunk_slots(const coord_driver *driver, uint64_t n_values, uint64_t j);

/** Scheme plain: a complete and checked upload, as coord_plain_take; and where a client's lies, msfl_free, NULL where
 * it has none. */
msfl_status coord_driver_take(coord_driver *driver, uint64_t number, uint32_t client, const char *path) MSFL_NODISCARD;
char *coord_driver_upload(coord_driver *driver, uint32_t client);

/** What can be told about the round. */
typedef struct coord_client_view {
    bool in;             /**< acknowledged; from the close of the uploads on: in the cohort */
    uint64_t bytes;      /**< of the ciphertext that are here */
    uint64_t changed_ms; /**< when the last ones came */
    bool reported;       /**< DELIVERING: has opened the sum */
} coord_client_view;
typedef struct coord_member_view {
    uint32_t party;
    bool voted, answered, cheated;
} coord_member_view;
typedef struct coord_view {
    msfl_phase phase;
    uint64_t number; /**< of the round that is open, or was the last */
    uint64_t deadline_ms, bytes_total;
    uint64_t phase_ms[MSFL_PHASE_DELIVERING + 1]; /**< when each phase was entered in this process; 0: not */
    uint32_t n_in;                                /**< complete uploads */
    uint32_t min_cohort;
    uint32_t n_clients, k;
    coord_client_view *clients; /**< n_clients */
    coord_member_view members[MSFL_COMMITTEE_MAX];
    uint64_t bytes_in, bytes_out; /**< of this round */
    uint64_t changes;             /**< counts what parties may have to hear */
    uint8_t chain[MSFL_HASH_BYTES];
} coord_view;
/** Clear with coord_view_clear. */
msfl_status coord_driver_view(coord_driver *driver, coord_view *out) MSFL_NODISCARD;
void coord_view_clear(coord_view *view);
/** Phase and changes alone: never waits for a machine at work. */
msfl_phase coord_driver_glance(const coord_driver *driver, uint64_t *changes);

#endif
