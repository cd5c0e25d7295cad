/* What handlers read out of a request and put into its answer. */
#ifndef MSFL_COORDINATOR_REQUEST_H
#define MSFL_COORDINATOR_REQUEST_H

#include "coordinator/service.h"

#define COORD_TYPE_JSON   "application/json"
#define COORD_TYPE_FRAMES "application/vnd.medsecurefl.frames"

/** Name of the party that asks, lent by the connection; it was seen. */
const char *coord_who(coord_service *s, const net_request *request);
/** Whether the body is of this type, whatever parameters follow. */
bool coord_has_type(const net_request *request, const char *type);
/** How long the party would wait for news, at most COORD_WAIT_S_MAX seconds; and the version that it has. 0 if it does
 *  not say, or not as a number. */
uint32_t coord_wait_of(const net_request *request);
uint64_t coord_seen_of(const net_request *request);
/** Parameter `i` of the path as a number up to `max`; ERR_MISSING if it is none. */
msfl_status coord_number_param(const net_request *request, uint32_t i, uint64_t max, uint64_t *out) MSFL_NODISCARD;

/** The version that the answer shows. */
msfl_status coord_put_version(net_request *request, uint64_t version) MSFL_NODISCARD;
/** Answer with a regular file; `etag` without quotes, or NULL. ERR_MISSING if it is not there. */
msfl_status coord_answer_file(net_request *request, const char *path, const char *type,
                              const char *etag) MSFL_NODISCARD;

#endif
