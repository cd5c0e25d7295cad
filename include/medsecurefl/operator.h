/* Giving a coordinator work, and fetching what came of it, with the kit of an operator or of the coordinator itself.
 * Layer: coordinator. docs/formats/http.md, docs/formats/job.md.
 */
#ifndef MEDSECUREFL_OPERATOR_H
#define MEDSECUREFL_OPERATOR_H

#include "medsecurefl/keyfile.h"

MSFL_BEGIN_DECLS

enum { MSFL_JOB_ID_MAX = 49 };

typedef struct msfl_operator msfl_operator; /**< one thread at a time */

/** `unlock`: for a sealed kit, else NULL. `url`: NULL, or another address of the same coordinator. `cancel` (may be
 *  NULL) ends every call when it is not 0 any more. Free with msfl_operator_free. Failures as those of a kit. */
MSFL_API MSFL_NODISCARD msfl_status msfl_operator_new(const char *kit, const msfl_unlock *unlock, const char *url,
                                                      const volatile int *cancel, msfl_operator **out);
/** Free; NULL is fine. */
MSFL_API void msfl_operator_free(msfl_operator *o);

/**
 * Submit a job: a YAML or JSON file of docs/formats/job.md. `initial` (NULL: weights by the seed) is a model file
 * (.h5) of the same network, or float32 values (.f32).
 * @retval MSFL_ERR_FORMAT, MSFL_ERR_USAGE, MSFL_ERR_PARAMS  the description
 * @retval MSFL_ERR_MISMATCH  the weights do not fit it
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_operator_submit(msfl_operator *o, const char *path, const char *initial,
                                                         char id[MSFL_JOB_ID_MAX + 1]);
/** All of the coordinator's status as JSON text (docs/formats/status.md); free with msfl_text_free. */
MSFL_API MSFL_NODISCARD msfl_status msfl_operator_status(msfl_operator *o, char **json);
/** A job's part of it, with its description as `description`. ERR_MISSING. */
MSFL_API MSFL_NODISCARD msfl_status msfl_operator_show(msfl_operator *o, const char *id, char **json);
/** ERR_MISSING; ERR_POLICY for one that has ended. */
MSFL_API MSFL_NODISCARD msfl_status msfl_operator_abort(msfl_operator *o, const char *id, const char *reason);
/** All files of a job into `folder`, which is made: models, metrics.jsonl, result.json, audit.zip. `json`: their names
 *  and bytes as a list; free with msfl_text_free. ERR_MISSING when there are none yet. */
MSFL_API MSFL_NODISCARD msfl_status msfl_operator_fetch(msfl_operator *o, const char *id, const char *folder,
                                                        char **json);

MSFL_END_DECLS

#endif
