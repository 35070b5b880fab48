# Dashboards of Tollmeter, rendered from its metric registry; change that, not this file.

terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.0"
    }
  }
}

data "aws_region" "current" {}

resource "aws_cloudwatch_dashboard" "latency" {
  dashboard_name = "tollmeter-latency-chat-production"
  dashboard_body = jsonencode({
    start          = "-P1D"
    periodOverride = "auto"
    variables = [
      {
        type         = "pattern"
        pattern      = "__model__"
        inputType    = "select"
        id           = "request_model"
        label        = "Model"
        search       = "{\"Tollmeter\",\"service\",\"environment\",\"provider\",\"request_model\"} MetricName=\"llm.calls\" service=\"chat\" environment=\"production\""
        populateFrom = "request_model"
        defaultValue = "__FIRST"
        visible      = true
      },
    ]
    widgets = [
      {
        type   = "text"
        x      = 0
        y      = 0
        width  = 24
        height = 2
        properties = {
          markdown = "# Tollmeter: latency\nHow long model calls and requests take. Percentiles are of every call, not of averages. [What each number means](https://github.com/tollmeter/tollmeter/blob/main/docs/platform-dashboards.md)"
        }
      },
      {
        type   = "text"
        x      = 0
        y      = 2
        width  = 24
        height = 2
        properties = {
          markdown = "## Model calls\nTo the end of the answer, and to the first token of a stream; 95 of 100 calls were faster than p95."
        }
      },
      {
        type   = "metric"
        x      = 0
        y      = 4
        width  = 12
        height = 6
        properties = {
          title  = "p95 to the end of the answer, by model"
          region = data.aws_region.current.region
          metrics = [
            [
              {
                id         = "m0"
                expression = "SEARCH('{\"Tollmeter\",\"service\",\"environment\",\"provider\",\"request_model\"} MetricName=\"llm.latency_ms\" service=\"chat\" environment=\"production\"', 'p95')"
                label      = "$${PROP('Dim.request_model')}, $${PROP('Dim.provider')}"
              },
            ],
          ]
          period  = 300
          view    = "timeSeries"
          stacked = false
          legend = {
            position = "bottom"
          }
          yAxis = {
            left = {
              min       = 0
              label     = "Milliseconds"
              showUnits = false
            }
          }
          annotations = {
            vertical = [
              {
                value = "2026-11-25T04:00:00Z"
                label = "v1.4.0"
              },
            ]
          }
        }
      },
      {
        type   = "metric"
        x      = 12
        y      = 4
        width  = 12
        height = 6
        properties = {
          title  = "p95 to the first token, by model"
          region = data.aws_region.current.region
          metrics = [
            [
              {
                id         = "m0"
                expression = "SEARCH('{\"Tollmeter\",\"service\",\"environment\",\"provider\",\"request_model\"} MetricName=\"llm.ttft_ms\" service=\"chat\" environment=\"production\"', 'p95')"
                label      = "$${PROP('Dim.request_model')}, $${PROP('Dim.provider')}"
              },
            ],
          ]
          period  = 300
          view    = "timeSeries"
          stacked = false
          legend = {
            position = "bottom"
          }
          yAxis = {
            left = {
              min       = 0
              label     = "Milliseconds"
              showUnits = false
            }
          }
          annotations = {
            vertical = [
              {
                value = "2026-11-25T04:00:00Z"
                label = "v1.4.0"
              },
            ]
          }
        }
      },
      {
        type   = "metric"
        x      = 0
        y      = 10
        width  = 12
        height = 6
        properties = {
          title  = "p99 to the end of the answer, by model"
          region = data.aws_region.current.region
          metrics = [
            [
              {
                id         = "m0"
                expression = "SEARCH('{\"Tollmeter\",\"service\",\"environment\",\"provider\",\"request_model\"} MetricName=\"llm.latency_ms\" service=\"chat\" environment=\"production\"', 'p99')"
                label      = "$${PROP('Dim.request_model')}, $${PROP('Dim.provider')}"
              },
            ],
          ]
          period  = 300
          view    = "timeSeries"
          stacked = false
          legend = {
            position = "bottom"
          }
          yAxis = {
            left = {
              min       = 0
              label     = "Milliseconds"
              showUnits = false
            }
          }
          annotations = {
            vertical = [
              {
                value = "2026-11-25T04:00:00Z"
                label = "v1.4.0"
              },
            ]
          }
        }
      },
      {
        type   = "metric"
        x      = 12
        y      = 10
        width  = 12
        height = 6
        properties = {
          title  = "Calls by model"
          region = data.aws_region.current.region
          metrics = [
            [
              {
                id         = "m0"
                expression = "SEARCH('{\"Tollmeter\",\"service\",\"environment\",\"provider\",\"request_model\"} MetricName=\"llm.calls\" service=\"chat\" environment=\"production\"', 'Sum')"
                label      = "$${PROP('Dim.request_model')}, $${PROP('Dim.provider')}"
              },
            ],
          ]
          period  = 300
          view    = "timeSeries"
          stacked = true
          legend = {
            position = "bottom"
          }
          yAxis = {
            left = {
              min       = 0
              label     = "Count"
              showUnits = false
            }
          }
          annotations = {
            vertical = [
              {
                value = "2026-11-25T04:00:00Z"
                label = "v1.4.0"
              },
            ]
          }
        }
      },
      {
        type   = "text"
        x      = 0
        y      = 16
        width  = 24
        height = 2
        properties = {
          markdown = "## The chosen model\nMedian, p95 and p99 of the model chosen at the top."
        }
      },
      {
        type   = "metric"
        x      = 0
        y      = 18
        width  = 12
        height = 6
        properties = {
          title  = "To the end of the answer"
          region = data.aws_region.current.region
          metrics = [
            [
              {
                id         = "m0"
                expression = "SEARCH('{\"Tollmeter\",\"service\",\"environment\",\"provider\",\"request_model\"} MetricName=\"llm.latency_ms\" service=\"chat\" environment=\"production\" \"request_model\"=\"__model__\"', 'p50')"
                label      = "p50, $${PROP('Dim.provider')}"
              },
            ],
            [
              {
                id         = "m1"
                expression = "SEARCH('{\"Tollmeter\",\"service\",\"environment\",\"provider\",\"request_model\"} MetricName=\"llm.latency_ms\" service=\"chat\" environment=\"production\" \"request_model\"=\"__model__\"', 'p95')"
                label      = "p95, $${PROP('Dim.provider')}"
              },
            ],
            [
              {
                id         = "m2"
                expression = "SEARCH('{\"Tollmeter\",\"service\",\"environment\",\"provider\",\"request_model\"} MetricName=\"llm.latency_ms\" service=\"chat\" environment=\"production\" \"request_model\"=\"__model__\"', 'p99')"
                label      = "p99, $${PROP('Dim.provider')}"
              },
            ],
          ]
          period  = 300
          view    = "timeSeries"
          stacked = false
          legend = {
            position = "bottom"
          }
          yAxis = {
            left = {
              min       = 0
              label     = "Milliseconds"
              showUnits = false
            }
          }
          annotations = {
            vertical = [
              {
                value = "2026-11-25T04:00:00Z"
                label = "v1.4.0"
              },
            ]
          }
        }
      },
      {
        type   = "metric"
        x      = 12
        y      = 18
        width  = 12
        height = 6
        properties = {
          title  = "To the first token"
          region = data.aws_region.current.region
          metrics = [
            [
              {
                id         = "m0"
                expression = "SEARCH('{\"Tollmeter\",\"service\",\"environment\",\"provider\",\"request_model\"} MetricName=\"llm.ttft_ms\" service=\"chat\" environment=\"production\" \"request_model\"=\"__model__\"', 'p50')"
                label      = "p50, $${PROP('Dim.provider')}"
              },
            ],
            [
              {
                id         = "m1"
                expression = "SEARCH('{\"Tollmeter\",\"service\",\"environment\",\"provider\",\"request_model\"} MetricName=\"llm.ttft_ms\" service=\"chat\" environment=\"production\" \"request_model\"=\"__model__\"', 'p95')"
                label      = "p95, $${PROP('Dim.provider')}"
              },
            ],
            [
              {
                id         = "m2"
                expression = "SEARCH('{\"Tollmeter\",\"service\",\"environment\",\"provider\",\"request_model\"} MetricName=\"llm.ttft_ms\" service=\"chat\" environment=\"production\" \"request_model\"=\"__model__\"', 'p99')"
                label      = "p99, $${PROP('Dim.provider')}"
              },
            ],
          ]
          period  = 300
          view    = "timeSeries"
          stacked = false
          legend = {
            position = "bottom"
          }
          yAxis = {
            left = {
              min       = 0
              label     = "Milliseconds"
              showUnits = false
            }
          }
          annotations = {
            vertical = [
              {
                value = "2026-11-25T04:00:00Z"
                label = "v1.4.0"
              },
            ]
          }
        }
      },
      {
        type   = "text"
        x      = 0
        y      = 24
        width  = 24
        height = 2
        properties = {
          markdown = "## Requests\nTo the last byte that a client of the service got, model calls included."
        }
      },
      {
        type   = "metric"
        x      = 0
        y      = 26
        width  = 12
        height = 6
        properties = {
          title  = "Median by route"
          region = data.aws_region.current.region
          metrics = [
            [
              {
                id         = "m0"
                expression = "SEARCH('{\"Tollmeter\",\"service\",\"environment\",\"route\"} MetricName=\"http.duration_ms\" service=\"chat\" environment=\"production\"', 'p50')"
                label      = "$${PROP('Dim.route')}"
              },
            ],
          ]
          period  = 300
          view    = "timeSeries"
          stacked = false
          legend = {
            position = "bottom"
          }
          yAxis = {
            left = {
              min       = 0
              label     = "Milliseconds"
              showUnits = false
            }
          }
          annotations = {
            vertical = [
              {
                value = "2026-11-25T04:00:00Z"
                label = "v1.4.0"
              },
            ]
          }
        }
      },
      {
        type   = "metric"
        x      = 12
        y      = 26
        width  = 12
        height = 6
        properties = {
          title  = "p95 by route"
          region = data.aws_region.current.region
          metrics = [
            [
              {
                id         = "m0"
                expression = "SEARCH('{\"Tollmeter\",\"service\",\"environment\",\"route\"} MetricName=\"http.duration_ms\" service=\"chat\" environment=\"production\"', 'p95')"
                label      = "$${PROP('Dim.route')}"
              },
            ],
          ]
          period  = 300
          view    = "timeSeries"
          stacked = false
          legend = {
            position = "bottom"
          }
          yAxis = {
            left = {
              min       = 0
              label     = "Milliseconds"
              showUnits = false
            }
          }
          annotations = {
            vertical = [
              {
                value = "2026-11-25T04:00:00Z"
                label = "v1.4.0"
              },
            ]
          }
        }
      },
      {
        type   = "metric"
        x      = 0
        y      = 32
        width  = 12
        height = 6
        properties = {
          title  = "p99 by route"
          region = data.aws_region.current.region
          metrics = [
            [
              {
                id         = "m0"
                expression = "SEARCH('{\"Tollmeter\",\"service\",\"environment\",\"route\"} MetricName=\"http.duration_ms\" service=\"chat\" environment=\"production\"', 'p99')"
                label      = "$${PROP('Dim.route')}"
              },
            ],
          ]
          period  = 300
          view    = "timeSeries"
          stacked = false
          legend = {
            position = "bottom"
          }
          yAxis = {
            left = {
              min       = 0
              label     = "Milliseconds"
              showUnits = false
            }
          }
          annotations = {
            vertical = [
              {
                value = "2026-11-25T04:00:00Z"
                label = "v1.4.0"
              },
            ]
          }
        }
      },
      {
        type   = "metric"
        x      = 12
        y      = 32
        width  = 12
        height = 6
        properties = {
          title  = "Requests by route"
          region = data.aws_region.current.region
          metrics = [
            [
              {
                id         = "m0"
                expression = "SEARCH('{\"Tollmeter\",\"service\",\"environment\",\"route\"} MetricName=\"http.requests\" service=\"chat\" environment=\"production\"', 'Sum')"
                label      = "$${PROP('Dim.route')}"
              },
            ],
          ]
          period  = 300
          view    = "timeSeries"
          stacked = true
          legend = {
            position = "bottom"
          }
          yAxis = {
            left = {
              min       = 0
              label     = "Count"
              showUnits = false
            }
          }
          annotations = {
            vertical = [
              {
                value = "2026-11-25T04:00:00Z"
                label = "v1.4.0"
              },
            ]
          }
        }
      },
      {
        type   = "text"
        x      = 0
        y      = 38
        width  = 24
        height = 2
        properties = {
          markdown = "## Slowest calls\nAsked of the log lines of model calls and requests, for no metric carries these fields."
        }
      },
      {
        type   = "log"
        x      = 0
        y      = 40
        width  = 24
        height = 8
        properties = {
          title  = "Slowest calls"
          region = data.aws_region.current.region
          query  = "SOURCE '/tollmeter/chat'\n| filter coalesce(environment, \"none\") = \"production\"\n| fields @timestamp, latency_ms, ttft_ms, provider, request_model, output_tokens, status, request_id, trace_id\n| filter message = \"Model call completed\"\n| sort latency_ms desc\n| limit 25"
          view   = "table"
        }
      },
    ]
  })
}
