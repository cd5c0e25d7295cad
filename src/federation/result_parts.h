/* The parts that a result is put together from. */
#ifndef MSFL_FEDERATION_RESULT_PARTS_H
#define MSFL_FEDERATION_RESULT_PARTS_H

#include "federation/result.h"

/** Whether the updates are encrypted by the packed scheme, which alone has custody. */
bool fed_is_packed(const fed_job *job);

/** Who holds its keys. Only where fed_is_packed. */
msfl_custody fed_packed_custody(const fed_job *job);

/** Whether the training was asked for. */
bool fed_track_used(const fed_track *track);

/** Objects and lists of docs/formats/result.md, of the same names. Every one is the caller's. */
json_t *fed_result_trust(const fed_job *job);
json_t *fed_result_data(const fed_job *job);
json_t *fed_result_model(const fed_job *job);
json_t *fed_result_training(const fed_job *job);
/** Parameters of the aggregation of updates; null for plain. */
json_t *fed_result_params(const fed_job *job);
json_t *fed_result_rounds(const fed_job *job, const fed_tracks *tracks);
json_t *fed_result_warnings(const fed_job *job, const fed_tracks *tracks);

/** Who holds what opens the sum; NULL for plain. A fixed text. */
const char *fed_result_custody(const fed_job *job);

/** Put into `result` what the rounds of `track` cost in bytes and in time, and whether every sum was exact. */
void fed_result_costs(const fed_job *job, const fed_track *track, json_t *result);

#endif
