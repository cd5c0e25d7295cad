/* The options of a run as JSON: what decides the result, and nothing else. */
#ifndef MSFL_FEDERATION_CONFIG_H
#define MSFL_FEDERATION_CONFIG_H

#include "medsecurefl/simulate.h"
#include "text/json.h"

/** Everything that the result depends on (not threads, not the output folder, not who watches). */
json_t *fed_config_json(const msfl_simulate_options *options);

/** Hash of that: binds checkpoints and rounds to the run. */
msfl_status fed_config_hash(const msfl_simulate_options *options, uint8_t out[MSFL_HASH_BYTES]) MSFL_NODISCARD;

/** The same without what a training on all images in one place does not depend on: hospitals, their encryption, how
 *  results are compared. */
msfl_status fed_config_central_hash(const msfl_simulate_options *options, uint8_t out[MSFL_HASH_BYTES]) MSFL_NODISCARD;

/** The reverse: fill in `options` from `config`, whose texts it borrows. Fields not in the file keep their values. */
msfl_status fed_config_apply(const json_t *config, msfl_simulate_options *options) MSFL_NODISCARD;

/** ERR_EXISTS, naming the first field that differs, unless `config` is that of `options`. */
msfl_status fed_config_compare(const json_t *config, const msfl_simulate_options *options) MSFL_NODISCARD;

#endif
