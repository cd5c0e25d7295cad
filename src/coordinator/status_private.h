/* What the files of the status share. */
#ifndef MSFL_COORDINATOR_STATUS_PRIVATE_H
#define MSFL_COORDINATOR_STATUS_PRIVATE_H

#include "coordinator/engine_private.h"
#include "text/json.h"

/** Names of msfl_phase. */
extern const char *const coord_phase_names[MSFL_PHASE_DELIVERING + 1];

/** Milliseconds since 1970, or null for 0. */
json_t *coord_time_json(uint64_t ms);
/** When a party was last heard of; 0: never. With the engine's lock. */
uint64_t coord_seen_ms(const coord_engine *e, const char *name);
/** One job, with its rounds and attempts if `whole`. With the engine's lock. */
json_t *coord_job_json(const coord_engine *e, const coord_entry *j, const coord_view *v, uint64_t now_ms, bool whole);
/** The view of the one job that has a driver; NULL, and an empty view, if there is none. Clear the view and free the
 *  driver. */
coord_entry *coord_running(coord_engine *e, coord_view *view, coord_driver **driver);

#endif
