/* The inside of a driver: driver.c (effects, calls), driver_make.c (from a journal to a machine), driver_view.c. */
#ifndef MSFL_COORDINATOR_DRIVER_PRIVATE_H
#define MSFL_COORDINATOR_DRIVER_PRIVATE_H

#include "coordinator/driver.h"
#include "coordinator/engine.h"
#include "round/journal.h"

#include <pthread.h>
#include <stdatomic.h>

/** Names of the journals. */
extern const char coord_owner_coordinator[], coord_owner_member[];

struct coord_driver {
    atomic_int holders;
    coord_driver_options o;
    const msfl_roster_info *r;
    msfl_packed *ctx;
    pthread_mutex_t lock;
    msfl_coordinator *machine; /* NULL: to be made anew */
    msfl_member *member;       /* custody "coordinator" alone */
    coord_spool *spool;
    coord_plain *plain;     /* instead of all these: scheme plain */
    uint64_t open_sequence; /* of the journal record that opened the round that is open, or was the last */
    uint64_t open_before;   /* of the one before that; 0: not in the journal */
    uint8_t *record;        /* a transcript that is still to be kept */
    size_t record_length;
    uint64_t record_number;
    uint64_t *changed_ms; /* per client */
    uint64_t phase_ms[MSFL_PHASE_DELIVERING + 1], bytes_in, bytes_out;
    msfl_phase seen;
    uint64_t seen_number;
    atomic_int phase;
    atomic_uint_least64_t changes;
};

/* All under the driver's lock. */
/** Note what may have changed for those who wait. */
void coord_driver_look(coord_driver *d);
/** Keep the transcript that is still to be kept, then forget what it was made of. */
void coord_driver_settle(coord_driver *d);
msfl_status coord_driver_keep(coord_driver *d, const uint8_t *bytes, size_t length, uint64_t number) MSFL_NODISCARD;
/** The machine in memory is ahead of the disk, or is none. */
void coord_driver_give_up(coord_driver *d);
/** A machine from the journal, if there is none. */
msfl_status coord_driver_revive(coord_driver *d) MSFL_NODISCARD;
/** Tell the spool what the open round's uploads are like. */
msfl_status coord_driver_shape(coord_driver *d) MSFL_NODISCARD;
/** Lock, with a machine at hand; not locked when it fails. */
msfl_status coord_driver_enter(coord_driver *d) MSFL_NODISCARD;
/** Unlock; returns `status`. */
msfl_status coord_driver_leave(coord_driver *d, msfl_status status) MSFL_NODISCARD;

#endif
