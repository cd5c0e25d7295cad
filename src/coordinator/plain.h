/* Rounds of scheme plain: complete uploads in files, none of them encrypted. The same phases as a machine's, without
 * those of key holders: collecting, then opened. Belongs to a driver, under its lock. */
#ifndef MSFL_COORDINATOR_PLAIN_H
#define MSFL_COORDINATOR_PLAIN_H

#include "medsecurefl/machine.h"
#include "store/journal.h"

typedef struct coord_plain coord_plain;

/** `folder`: of the uploads, made if need be. State of `task` is read from the store. */
msfl_status coord_plain_new(store *s, const char *folder, const uint8_t task[MSFL_HASH_BYTES], uint32_t n_clients,
                            coord_plain **out) MSFL_NODISCARD;
void coord_plain_free(coord_plain *plain);

/** Something that is kept in the same step; NULL: nothing. */
typedef msfl_status (*coord_plain_also)(void *ctx, store *s);

/* As the machine's functions. Each is on disk when it returns; on error nothing has changed. */
msfl_status coord_plain_open(coord_plain *p, uint32_t min_cohort, uint64_t deadline_ms, coord_plain_also also,
                             void *ctx) MSFL_NODISCARD;
/** A complete, checked upload in the file `path`, which is moved. ERR_POLICY: another round, or too late; ERR_EXISTS.
 */
msfl_status coord_plain_take(coord_plain *p, uint64_t number, uint32_t client, const char *path) MSFL_NODISCARD;
/** Closes when all are in or the deadline is over; below the minimum the round is given up. */
msfl_status coord_plain_tick(coord_plain *p, uint64_t now_ms) MSFL_NODISCARD;
msfl_status coord_plain_close(coord_plain *p) MSFL_NODISCARD;
msfl_status coord_plain_abort(coord_plain *p, coord_plain_also also, void *ctx) MSFL_NODISCARD;
msfl_status coord_plain_finish(coord_plain *p, coord_plain_also also, void *ctx) MSFL_NODISCARD;

msfl_phase coord_plain_phase(const coord_plain *p);
uint64_t coord_plain_number(const coord_plain *p);
uint64_t coord_plain_deadline(const coord_plain *p);
uint32_t coord_plain_min(const coord_plain *p);
bool coord_plain_has(const coord_plain *p, uint32_t client);
/** Where this client's upload of the open round lies; msfl_free. */
char *coord_plain_path(const coord_plain *p, uint32_t client);

#endif
