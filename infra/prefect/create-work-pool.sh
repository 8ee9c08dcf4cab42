#!/usr/bin/env bash
# Makes the work pool that prefect.yaml deploys to, or brings it back to this shape. Knows no deployment and no secret:
# PREFECT_API_URL and PREFECT_API_AUTH_STRING say which server, and as whom.
#
# Process workers start a flow as a process beside them, which on a Ray node is a driver on the cluster. The pool runs one
# flow at a time: a run fills the whole cluster, and two would only share it.
set -euo pipefail

export DO_NOT_TRACK=1 PREFECT_SERVER_ANALYTICS_ENABLED=false

prefect --no-prompt work-pool create restore-archive --type process --overwrite
prefect --no-prompt work-pool set-concurrency-limit restore-archive 1
prefect --no-prompt work-pool inspect restore-archive
