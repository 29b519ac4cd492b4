egret_pkg.sv
egret_core.sv
