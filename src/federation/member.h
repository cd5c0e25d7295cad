/* What one party does for itself in a round, whatever kind of track it belongs to. */
#ifndef MSFL_FEDERATION_MEMBER_H
#define MSFL_FEDERATION_MEMBER_H

#include "federation/track.h"

/** Train `weights` on `images` with the member's own optimiser state, which is updated on success. `who` numbers the
 *  hospital in seeds; `client` in events. ERR_NUMERIC: values that are not finite came up. */
msfl_status fed_member_train(const fed_job *job, const fed_track *track, fed_member *member, uint32_t who,
                             int32_t client, const msfl_indices *images, float *weights,
                             msfl_train_result *result) MSFL_NODISCARD;

/** Deep copies of the track's members, so that a round which fails leaves every hospital as it was. Free `*out` with
 *  fed_members_free, also after an error. */
msfl_status fed_members_copy(const fed_track *track, fed_member **out) MSFL_NODISCARD;

#endif
