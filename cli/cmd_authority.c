/* medsecurefl authority: what client does with a kit of that role. */
#include "cmd.h"

msfl_status cmd_authority(int argc, char **argv) {
    return cmd_client(argc, argv);
}
