"""The report of a run: saved by `egret run --save`, drawn and written as one HTML page by `egret report`."""
