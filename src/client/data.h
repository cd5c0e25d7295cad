/* The images that this hospital trains on, for one job. */
#ifndef MSFL_CLIENT_DATA_H
#define MSFL_CLIENT_DATA_H

#include "client/site.h"
#include "dataset/deal.h"
#include "job/spec.h"

typedef struct client_data {
    msfl_dataset *dataset;
    msfl_split split;
    msfl_holding holding;
    msfl_indices test;
    uint32_t *label; /**< class of the job for each class of the data set; NULL: masks have the classes */
    msfl_augment augment;
} client_data;

/** Open the site's data as the job's network takes it, split it as the job says, and take our share. Clear `out` in any
 *  case. Of all images a multiple of `multiple_of` (1: all) takes part, before anything is split: the others are as if
 *  they were not there, in every job. ERR_DATA, ERR_MISMATCH: other classes than the job's, or no masks where its
 * network learns from them. */
msfl_status client_data_open(const client_site *site, const job_shape *shape, uint32_t multiple_of,
                             const msfl_observer *observer, client_data *out) MSFL_NODISCARD;
/** Whether the job's augmentation may be done to this site's pictures: ERR_POLICY with a message that others may read.
 */
msfl_status client_data_permits(const client_site *site, const job_spec *spec) MSFL_NODISCARD;
/** Before anything is opened: whether the site's data were made by the recipe that the job names, if it names one.
 *  ERR_POLICY, with a message that others may read. A command of one's own looks after its data itself. */
msfl_status client_data_accepts(const client_site *site, const job_spec *spec) MSFL_NODISCARD;
void client_data_clear(client_data *data);

/** What msfl_train and msfl_predict read. `storage` and `data` outlive it. */
typedef struct client_samples {
    const client_data *data;
    const uint32_t *images;
} client_samples;
msfl_samples client_samples_of(const client_data *data, const msfl_indices *images, client_samples *storage);

#endif
