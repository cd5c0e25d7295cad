#include "medsecurefl/bfv.h"

#define SEEDED_TABLE   measure_seeded_bfv
#define SEEDED_NAME    "bfv"
#define SEEDED(name)   msfl_bfv_##name
#define SEEDED_CTX     msfl_bfv
#define SEEDED_REQUEST msfl_bfv_request
#define SEEDED_PLAN    msfl_bfv_plan
#define SEEDED_ENCRYPT msfl_bfv_encrypt_seeded
#define SEEDED_DECRYPT msfl_bfv_decrypt
#include "measure/seeded_body.h"
