#include "medsecurefl/ckks.h"

#define SEEDED_TABLE   measure_seeded_ckks
#define SEEDED_NAME    "ckks"
#define SEEDED(name)   msfl_ckks_##name
#define SEEDED_CTX     msfl_ckks
#define SEEDED_REQUEST msfl_ckks_sums_request
#define SEEDED_PLAN    msfl_ckks_plan_sums
#define SEEDED_ENCRYPT msfl_ckks_sums_encrypt_seeded
#define SEEDED_DECRYPT msfl_ckks_sums_decrypt
#include "measure/seeded_body.h"
